// An address space: its mappings with the state of their pages, and where faults fell over time.

import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { PAGE_STATES, type MappingView, type SpaceView as Space } from '../../inspect/space.ts';
import { bytes, count, hex, pages } from '../format.ts';
import { move, pid, select, selectedAddress, timeline } from '../model.ts';
import { Cells, Key } from '../parts/cells.tsx';
import { ProcessPicker } from '../parts/process-picker.tsx';
import { ViewHead } from '../parts/view-head.tsx';
import { useSnapshot } from '../snapshot.ts';
import type { Timeline } from '../timeline-data.ts';
import { dark } from '../theme.ts';
import { Term } from '../parts/term.tsx';

/** By PAGE_*. */
const COLOURS = ['--never', '#4668e8', '#7d4fd6', '#d97706', '#2f8f5b', '#b9a37a'] as const;
const STRIP = 640;

export function SpaceView(): VNode {
  const space = useSnapshot('space', [pid.value], pid.value > 0);
  return (
    <div class="view">
      <ViewHead title="Address space" term="vma">
        <ProcessPicker />
      </ViewHead>
      {space !== undefined && (
        <>
          <Figures space={space} />
          <Key items={PAGE_STATES.map((name, i) => [COLOURS[i] ?? '', name] as const)} />
          <div class="scroll-x" tabIndex={0} role="region" aria-label="Mappings">
            <table class="table mappings">
              <thead>
                <tr>
                  <th scope="col">start</th>
                  <th scope="col">access</th>
                  <th scope="col">what</th>
                  <th scope="col" class="num">
                    size
                  </th>
                  <th scope="col" class="num">
                    present
                  </th>
                  <th scope="col">pages, from start to end</th>
                </tr>
              </thead>
              <tbody>
                {space.mappings.map((m) => (
                  <Mapping key={m.start} mapping={m} />
                ))}
              </tbody>
            </table>
          </div>
          <section>
            <h3>
              Page faults: address × time <Term id="heat" />
            </h3>
            {timeline.value !== undefined && <Heat space={space} timeline={timeline.value} />}
          </section>
        </>
      )}
    </div>
  );
}

function Figures(props: { space: Space }): VNode {
  const { space } = props;
  const rows: readonly (readonly [string, string])[] = [
    ['resident (RSS)', pages(space.resident)],
    ['at most', pages(space.highest)],
    ['mapped', pages(space.total)],
    ['swapped', pages(space.swapped)],
    ['page tables', bytes(space.tables)],
    ['faults', `${count(space.minflt)} minor, ${count(space.majflt)} major`],
  ];
  return (
    <dl class="figures">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="mono">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Mapping(props: { mapping: MappingView }): VNode {
  const { mapping: m } = props;
  const at = selectedAddress.value;
  const isSelected = at >= m.start && at < m.end;
  const cells = m.strip.length;
  const perCell = (m.end - m.start) / cells;
  const goTo = (va: number): void => select({ kind: 'address', pid: pid.value, va });
  const present = m.pages.reduce((a, b, i) => (i === 0 || i === 3 ? a : a + b), 0);
  const name = m.name === '' ? 'anonymous' : m.name;
  const size = Math.max(2, Math.floor(STRIP / 2 / Math.max(1, cells)));
  return (
    <tr aria-current={isSelected ? 'true' : undefined}>
      <td class="mono">
        <button type="button" class="goto" onClick={() => goTo(m.start)}>
          {hex(m.start)}
        </button>
      </td>
      <td class="mono">{m.perms}</td>
      <td class="mapping-name" title={name}>
        {name.slice(name.lastIndexOf('/') + 1)}
      </td>
      <td class="num">{bytes(m.end - m.start)}</td>
      <td class="num">{pages(present)}</td>
      <td class="strip">
        <Cells
          label={`Pages of ${name} at ${hex(m.start)}`}
          count={cells}
          columns={cells}
          size={Math.min(14, size)}
          height={13}
          gap={size > 3 ? 1 : 0}
          colour={(i) => COLOURS[m.strip[i] ?? 0] ?? '--never'}
          tell={(i) =>
            `${hex(pageOf(m.start + i * perCell))}: ${PAGE_STATES[m.strip[i] ?? 0] ?? ''}`
          }
          pick={(i) => goTo(pageOf(m.start + i * perCell))}
          selected={isSelected ? Math.floor((at - m.start) / perCell) : -1}
        />
      </td>
    </tr>
  );
}

function pageOf(va: number): number {
  return va - (va % 4096);
}

const ROW = 4; // pixels a row of the heat map
/** Height of a label, in px. */
const LABEL = 13;
const MOST_ROWS = 64;

interface HeatRow {
  readonly from: number;
  readonly to: number;
  readonly name: string;
}

/** Rows of the heat map: each mapping gets some, by the logarithm of its pages. */
function heatRows(space: Space): HeatRow[] {
  const weights = space.mappings.map((m) => 1 + Math.log2((m.end - m.start) / 4096));
  const sum = weights.reduce((a, b) => a + b, 0);
  return space.mappings.flatMap((m, i) => {
    const pagesOf = (m.end - m.start) / 4096;
    const n = Math.min(pagesOf, Math.max(2, Math.round(((weights[i] ?? 1) * MOST_ROWS) / sum)));
    const per = (m.end - m.start) / n;
    const name = m.name === '' ? 'anonymous' : m.name.slice(m.name.lastIndexOf('/') + 1);
    return [...Array(Math.ceil(n)).keys()].map((k) => ({
      from: m.start + k * per,
      to: m.start + (k + 1) * per,
      name: k === 0 ? name : '',
    }));
  });
}

/** Names beside the rows where they begin; one that would lie on the last is left out. */
function labelsOf(rows: readonly HeatRow[]): { top: number; name: string }[] {
  const out: { top: number; name: string }[] = [];
  rows.forEach(({ name }, i) => {
    const top = i * ROW;
    if (name !== '' && top - (out.at(-1)?.top ?? -LABEL) >= LABEL) out.push({ top, name });
  });
  return out;
}

function Heat(props: { space: Space; timeline: Timeline }): VNode {
  const { space, timeline: t } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const rows = heatRows(space);
  const columns = t.counters.resident.length;
  const find = (va: number): number => rows.findIndex((r) => va >= r.from && va < r.to);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (element === null || context === undefined || context === null) return;
    element.width = columns;
    element.height = rows.length * ROW;
    const heat = new Float64Array(columns * rows.length);
    for (const [column, address] of t.faults) {
      const row = find(address);
      if (row >= 0) heat[row * columns + column]!++;
    }
    const most = Math.log2(1 + Math.max(1, ...heat));
    context.fillStyle = getComputedStyle(element).getPropertyValue('--accent');
    heat.forEach((n, i) => {
      if (n === 0) return;
      context.globalAlpha = 0.3 + (0.7 * Math.log2(1 + n)) / most;
      context.fillRect(i % columns, Math.floor(i / columns) * ROW, Math.max(1, columns / 240), ROW);
    });
  }, [space, t, dark.value]);
  return (
    <div class="heat">
      <div class="heat-names" aria-hidden="true">
        {labelsOf(rows).map(({ top, name }) => (
          <span key={top} style={{ top: `${top}px` }}>
            {name}
          </span>
        ))}
      </div>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${t.faults.length} page faults, by address from top to bottom and over time`}
        style={{ height: `${rows.length * ROW}px` }}
        onClick={(e) => {
          const part = e.offsetX / Math.max(1, e.currentTarget.clientWidth);
          const row = rows[Math.floor(e.offsetY / ROW)];
          void move({ to: Math.round(part * columns) * t.perColumn }).then(() => {
            if (row !== undefined) {
              select({ kind: 'address', pid: pid.value, va: pageOf(row.from) });
            }
          });
        }}
      />
    </div>
  );
}
