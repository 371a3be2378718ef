// The page allocator: zones and watermarks, free lists by order, pageblocks by migrate type.

import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import type { BuddyView as Buddy, ZoneView } from '../../inspect/buddy.ts';
import { count, hex, pages, percent } from '../format.ts';
import { select, selectedFrame } from '../model.ts';
import { Cells, Key } from '../parts/cells.tsx';
import { Term } from '../parts/term.tsx';
import { ViewHead } from '../parts/view-head.tsx';
import { useSnapshot } from '../snapshot.ts';

/** By migrate type. */
const TYPE_COLOURS = ['#c2552d', '#4668e8', '#2f8f5b', '#a04cc4', '#00a3c7', '#5b6678'] as const;

interface ListName {
  readonly zone: string;
  readonly type: number;
  readonly order: number;
}

export function BuddyView(): VNode {
  const buddy = useSnapshot('buddy', []);
  const open = useSignal<ListName | undefined>(undefined);
  const l = open.value;
  const list = useSnapshot(
    'freeList',
    [l?.zone ?? '', l?.type ?? 0, l?.order ?? 0],
    l !== undefined,
  );
  return (
    <div class="view">
      <ViewHead title="Buddy allocator" term="buddy">
        {buddy !== undefined && pages(buddy.zones.reduce((a, z) => a + z.free, 0))} free
      </ViewHead>
      {buddy?.zones.map((zone) => (
        <Zone key={`${zone.name}${zone.start}`} zone={zone} types={buddy.types} open={open} />
      ))}
      {l !== undefined && list !== undefined && (
        <section>
          <h3>
            Free list: zone {l.zone}, {buddy?.types[l.type]}, order {l.order} (blocks of{' '}
            {pages(2 ** l.order)})
          </h3>
          <p class="list">
            {list.map((pfn) => (
              <button
                type="button"
                key={pfn}
                class="chip mono"
                aria-pressed={selectedFrame.value === pfn}
                onClick={() => select({ kind: 'frame', pfn, offset: 0 })}
              >
                {hex(pfn)}
              </button>
            ))}
          </p>
        </section>
      )}
      {buddy !== undefined && <Pageblocks buddy={buddy} />}
    </div>
  );
}

function Zone(props: {
  zone: ZoneView;
  types: readonly string[];
  open: { value: ListName | undefined };
}): VNode {
  const { zone, types, open } = props;
  const orders = zone.lists[0]?.map((_, order) => order) ?? [];
  return (
    <section class="zone">
      <h3>
        Zone {zone.name}, node {zone.node} <Term id="zone" />
      </h3>
      <Watermarks zone={zone} />
      <div class="scroll-x" tabIndex={0} role="region" aria-label={`Free lists of ${zone.name}`}>
        <table class="table orders">
          <thead>
            <tr>
              <th scope="col">blocks of order</th>
              {orders.map((order) => (
                <th scope="col" class="num" key={order} title={`blocks of ${pages(2 ** order)}`}>
                  {order}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {zone.lists.map((list, type) =>
              list.every((n) => n === 0) ? null : (
                <tr key={type}>
                  <th scope="row">
                    <i class="swatch" style={{ background: TYPE_COLOURS[type] }} /> {types[type]}
                  </th>
                  {list.map((n, order) => (
                    <td class="num" key={order}>
                      {n === 0 ? (
                        <span class="faint">·</span>
                      ) : (
                        <button
                          type="button"
                          class="goto"
                          aria-label={`${n} blocks of order ${order}: list them`}
                          onClick={() => {
                            open.value = { zone: zone.name, type, order };
                            const pfn = zone.heads[type]?.[order] ?? -1;
                            if (pfn >= 0) select({ kind: 'frame', pfn, offset: 0 });
                          }}
                        >
                          {count(n)}
                        </button>
                      )}
                    </td>
                  ))}
                </tr>
              ),
            )}
          </tbody>
        </table>
      </div>
      <p class="soft">
        On per-CPU lists <Term id="pcp" />:{' '}
        <span class="mono">{zone.pcp.map((n, cpu) => `CPU ${cpu}: ${n}`).join('  ')}</span>
      </p>
    </section>
  );
}

/** Free frames against min, low and high. */
function Watermarks(props: { zone: ZoneView }): VNode {
  const { zone } = props;
  const scale = Math.max(zone.high * 4, 1);
  const at = (n: number): string => `${Math.min(100, (100 * n) / scale)}%`;
  return (
    <div class="watermarks">
      <div class="bar">
        <span class="bar-fill" style={{ width: at(zone.free) }} />
        {(['min', 'low', 'high'] as const).map((name) => (
          <span key={name} class="bar-mark" style={{ left: at(zone[name]) }} />
        ))}
      </div>
      <span class="mono">
        {count(zone.free)} of {count(zone.managed)} free ({percent(zone.free, zone.managed)})
      </span>{' '}
      <span class="soft mono">
        min {count(zone.min)} · low {count(zone.low)} · high {count(zone.high)}
      </span>{' '}
      <Term id="watermark" />
    </div>
  );
}

function Pageblocks(props: { buddy: Buddy }): VNode {
  const { buddy } = props;
  const { pageblocks, types } = buddy;
  const used = types.flatMap((name, i) =>
    pageblocks.some((b) => b !== 255 && (b & 7) === i)
      ? [[TYPE_COLOURS[i] ?? '', name] as const]
      : [],
  );
  return (
    <section>
      <h3>
        Pageblocks of 2 MiB <Term id="pageblock" />
      </h3>
      <Key items={[...used, ['--never', 'the paler, the more of it is free'] as const]} />
      <Cells
        label="Pageblocks"
        count={Math.min(pageblocks.length, 16384)}
        size={pageblocks.length > 4096 ? 6 : 11}
        colour={(i) => blockColour(pageblocks[i] ?? 255)}
        tell={(i) => blockText(i, pageblocks[i] ?? 255, types)}
        pick={(i) => select({ kind: 'frame', pfn: i * 512, offset: 0 })}
        selected={selectedFrame.value < 0 ? -1 : Math.floor(selectedFrame.value / 512)}
      />
    </section>
  );
}

function blockColour(b: number): string {
  if (b === 255) return 'transparent';
  const alpha = Math.round(255 - (b >> 3) * 13.4);
  return `${TYPE_COLOURS[b & 7] ?? '#888888'}${alpha.toString(16).padStart(2, '0')}`;
}

function blockText(i: number, b: number, types: readonly string[]): string {
  if (b === 255) return `frames from ${hex(i * 512)}: no RAM`;
  return `frames from ${hex(i * 512)}: ${types[b & 7] ?? ''}, ${percent(b >> 3, 15)} free`;
}
