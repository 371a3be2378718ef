// Go's heap: arenas page by page, spans by class and where they wait, the selected span's slots.

import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import type { GoObject } from '../../inspect/go-object.ts';
import type { GoArena, GoClass, GoSpan, GoView } from '../../inspect/go.ts';
import { bytes, count, hex, percent } from '../format.ts';
import { select, selectedAddress } from '../model.ts';
import { Cells, Key } from '../parts/cells.tsx';
import { Term } from '../parts/term.tsx';
import { useSnapshot } from '../snapshot.ts';

const SMALL = '#00a3c7';
const LARGE = '#2f8f5b';
const MANUAL = '#7d4fd6';
const MARKED = '#e0a000';
const PAGE = 8192;

export function GoHeap(props: { pid: number }): VNode {
  const { pid } = props;
  const heap = useSnapshot('go', [pid]);
  const at = selectedAddress.value;
  const found = useSnapshot('goObject', [pid, at], Number.isFinite(at));
  if (heap === undefined) return <p class="soft">Looking…</p>;
  return (
    <>
      <Phase heap={heap} />
      {found !== undefined && (
        <div class="columns">
          <SpanSlots pid={pid} span={found.span} object={found.object} />
          {found.object !== undefined && <Words pid={pid} object={found.object} />}
        </div>
      )}
      <section>
        <h3>
          Arenas, by page of 8 KiB <Term id="go-arena" />
        </h3>
        <Key
          items={[
            [SMALL, 'small objects (the paler, the emptier)'],
            [LARGE, 'large object'],
            [MANUAL, 'stack, work buffer'],
            ['--never', 'in no span'],
          ]}
        />
        {heap.arenas.map((arena) => (
          <Arena key={arena.address} pid={pid} arena={arena} />
        ))}
      </section>
      <Classes heap={heap} />
    </>
  );
}

function Phase(props: { heap: GoView }): VNode {
  const { heap } = props;
  const at = (name: string): number => heap.figures.find(([n]) => n === name)?.[1] ?? 0;
  const goal = at('heap goal');
  const part = (n: number): string => `${Math.min(100, (100 * n) / Math.max(1, goal))}%`;
  const more = heap.figures.filter(([name, n]) => n !== 0 && !/^heap (live|goal)|^trig/.test(name));
  return (
    <section>
      <div class="watermarks">
        <span>
          {heap.profile}, collector <strong>{heap.phase}</strong>, {count(heap.collections)}{' '}
          collections <Term id="go-gc" />
        </span>
        <div class="bar">
          <span class="bar-fill go" style={{ width: part(at('heap live')) }} />
          <span class="bar-mark" style={{ left: part(at('trigger')) }} />
        </div>
        <span class="mono">
          live {bytes(at('heap live'))} · trigger {bytes(at('trigger'))} · goal {bytes(goal)}
        </span>
      </div>
      <dl class="figures">
        {more.map(([name, n]) => (
          <div key={name}>
            <dt>{name.replace(/_/g, ' ')}</dt>
            <dd class="mono">{bytes(n)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Arena(props: { pid: number; arena: GoArena }): VNode {
  const { pid, arena } = props;
  const shown = Math.min(arena.pages.length, Math.ceil(Math.max(64, arena.used) / 64) * 64);
  const at = selectedAddress.value;
  const inside = at >= arena.address && at < arena.address + arena.pages.length * PAGE;
  return (
    <div class="arena">
      <p class="soft">
        <span class="mono">{hex(arena.address)}</span>, {count(arena.used)} of{' '}
        {count(arena.pages.length)} pages were ever in a span
      </p>
      <Cells
        label={`Pages of the arena at ${hex(arena.address)}`}
        count={shown}
        size={9}
        colour={(i) => pageColour(arena.pages[i] ?? 0)}
        tell={(i) => `page at ${hex(arena.address + i * PAGE)}: ${pageText(arena.pages[i] ?? 0)}`}
        pick={(i) => select({ kind: 'address', pid, va: arena.address + i * PAGE })}
        selected={inside ? Math.floor((at - arena.address) / PAGE) : -1}
      />
    </div>
  );
}

function pageColour(page: number): string {
  const kind = page & 3;
  if (kind === 0) return '--never';
  if (kind !== 1) return kind === 2 ? LARGE : MANUAL;
  const alpha = Math.round(70 + ((page >> 2) * 185) / 15);
  return `${SMALL}${alpha.toString(16).padStart(2, '0')}`;
}

function pageText(page: number): string {
  const kind = ['in no span', 'small objects', 'a large object', 'a stack'][page & 3] ?? '';
  return (page & 3) === 1 ? `${kind}, ${percent(page >> 2, 15)} of the slots in use` : kind;
}

function SpanSlots(props: { pid: number; span: GoSpan; object: GoObject | undefined }): VNode {
  const { pid, span, object } = props;
  return (
    <section>
      <h3>
        Selected span {span.number}: {span.nelems} slots of {count(span.size)} bytes{' '}
        <Term id="go-span" />
      </h3>
      <p class="soft">
        {span.allocCount} in use, freeindex {span.freeindex}, sweepgen {span.sweepgen}; {span.place}
      </p>
      <Key
        items={[
          [SMALL, 'allocated'],
          [MARKED, 'allocated and marked'],
          ['--never', 'free'],
        ]}
      />
      <Cells
        label={`Slots of span ${span.number}`}
        count={span.slots.length}
        size={span.slots.length > 600 ? 8 : 12}
        colour={(i) => ['--never', SMALL, '--never', MARKED][span.slots[i] ?? 0] ?? '--never'}
        tell={(i) => `slot ${i} at ${hex(span.start + i * span.size)}`}
        pick={(i) => select({ kind: 'address', pid, va: span.start + i * span.size })}
        selected={object?.slot ?? -1}
      />
    </section>
  );
}

function Words(props: { pid: number; object: GoObject }): VNode {
  const { pid, object } = props;
  return (
    <section>
      <h3>
        Words of the selected object <Term id="go-object" />
      </h3>
      <div class="scroll" tabIndex={0} role="region" aria-label="Words of the object">
        <table class="table">
          <tbody>
            {object.words.map((w) => (
              <tr key={w.offset}>
                <th scope="row" class="num">
                  +{w.offset}
                </th>
                <td class="mono">{w.hex}</td>
                <td>
                  {w.target !== 0 ? (
                    <button
                      type="button"
                      class="goto mono"
                      onClick={() => select({ kind: 'address', pid, va: w.target })}
                    >
                      → {hex(w.target)}
                    </button>
                  ) : (
                    <span class="faint">{w.isPointer ? 'nil' : 'no pointer'}</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Classes(props: { heap: GoView }): VNode {
  const { heap } = props;
  const all = useSignal(false);
  const rows = all.value ? heap.classes : heap.classes.slice(0, 14);
  return (
    <section>
      <h3>
        Spans by class, and where they wait <Term id="go-central" />
      </h3>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Spans by class">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">slot</th>
              <th scope="col" class="num">
                spans
              </th>
              <th scope="col" class="num">
                slots in use
              </th>
              <th scope="col">used</th>
              <th scope="col" class="num">
                mcache
              </th>
              <th scope="col" class="num">
                partial
              </th>
              <th scope="col" class="num">
                full
              </th>
              <th scope="col" class="num">
                to sweep
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((c) => (
              <Class key={c.spanclass} c={c} />
            ))}
          </tbody>
        </table>
      </div>
      {heap.classes.length > rows.length && (
        <button type="button" class="button" onClick={() => (all.value = true)}>
          {heap.classes.length - rows.length} more classes
        </button>
      )}
    </section>
  );
}

function Class(props: { c: GoClass }): VNode {
  const { c } = props;
  return (
    <tr>
      <th scope="row">
        {c.spanclass >> 1 === 0 ? 'large' : bytes(c.size)}
        {c.noscan && <span class="faint"> no pointers</span>}
      </th>
      <td class="num">{count(c.spans)}</td>
      <td class="num">
        {count(c.objects)} / {count(c.slots)}
      </td>
      <td>
        <span class="bar bar-small">
          <span
            class="bar-fill go"
            style={{ width: `${(100 * c.objects) / Math.max(1, c.slots)}%` }}
          />
        </span>
      </td>
      <td class="num">{c.mcache}</td>
      <td class="num">{c.partialSwept}</td>
      <td class="num">{c.fullSwept}</td>
      <td class="num">{c.partialUnswept + c.fullUnswept}</td>
    </tr>
  );
}
