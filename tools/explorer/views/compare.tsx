// The comparison: memory over the run, the waterfall, and both of a second run beside it.

import type { VNode } from 'preact';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { STEPS, type Waterfall } from '../../waterfall.ts';
import type { CounterName } from '../../session/events.ts';
import { bytes, count, pages } from '../format.ts';
import { dialogue, engine, failure, otherStatus, pid, status, timeline } from '../model.ts';
import { Plot } from '../parts/plot.tsx';
import { Term } from '../parts/term.tsx';
import { ViewHead } from '../parts/view-head.tsx';
import { useSnapshot } from '../snapshot.ts';
import type { Timeline } from '../timeline-data.ts';

const STEP_COLOURS = [
  '#4668e8',
  '#7d4fd6',
  '#a04cc4',
  '#c93f8d',
  '#00a3c7',
  '#00708f',
  '#62bf93',
  '#2f8f5b',
  '#e0a000',
  '#c2552d',
];

const PLOTS: readonly { name: CounterName; label: string; isMemory: boolean }[] = [
  { name: 'resident', label: 'resident memory', isMemory: true },
  { name: 'pgfault', label: 'page faults, in all', isMemory: false },
  { name: 'page_tables', label: 'page tables', isMemory: true },
  { name: 'page_cache', label: 'page cache', isMemory: true },
  { name: 'swapped', label: 'swapped out', isMemory: true },
];

interface Other {
  readonly timeline: Timeline | undefined;
  readonly waterfall: Waterfall | undefined;
}

export function CompareView(): VNode {
  const waterfall = useSnapshot('waterfall', [pid.value]);
  const other = useSignal<Other>({ timeline: undefined, waterfall: undefined });
  const second = otherStatus.value;
  useEffect(() => {
    if (second === undefined) {
      other.value = { timeline: undefined, waterfall: undefined };
      return;
    }
    lookAtOther(second.processes[0]?.pid ?? 0).then(
      (found) => (other.value = found),
      (e: unknown) => (failure.value = String(e)),
    );
  }, [second]);
  const t = timeline.value;
  const o = other.value;
  return (
    <div class="view">
      <ViewHead title="Comparison" term="waterfall">
        <span>
          <i class="swatch" style={{ background: 'var(--accent)' }} /> {status.value?.name}
        </span>{' '}
        {second !== undefined && (
          <span>
            <i class="swatch" style={{ background: 'var(--second)' }} /> {second.name}
          </span>
        )}{' '}
        <button type="button" class="button" onClick={() => (dialogue.value = 'compare')}>
          Compare with…
        </button>
      </ViewHead>
      {t !== undefined && (
        <div class="columns">
          {PLOTS.filter((p) => isThere(t, p.name) || isThere(o.timeline, p.name)).map((p) => (
            <section key={p.name}>
              <h3>{p.label}</h3>
              <Plot
                label={`${p.label} over the run`}
                first={t.counters[p.name]}
                second={o.timeline?.counters[p.name]}
                text={p.isMemory ? pages : count}
              />
            </section>
          ))}
        </div>
      )}
      <section>
        <h3>
          Where a process’s memory is, at this step <Term id="waterfall" />
        </h3>
        {waterfall === undefined && o.waterfall === undefined ? (
          <p class="soft">Only processes with a modelled heap have one: open a workload.</p>
        ) : (
          <Waterfalls first={waterfall} second={o.waterfall} />
        )}
      </section>
      {o.timeline !== undefined && t !== undefined && <Difference a={t} b={o.timeline} />}
    </div>
  );
}

async function lookAtOther(pidOfOther: number): Promise<Other> {
  const look = engine.inspectOther as unknown as (
    name: 'waterfall',
    args: [number],
  ) => Promise<Waterfall | undefined>;
  return {
    timeline: await engine.timelineOther(600),
    waterfall: await look('waterfall', [pidOfOther]),
  };
}

function isThere(t: Timeline | undefined, name: CounterName): boolean {
  return t?.counters[name].some((n) => n > 0) ?? false;
}

function Waterfalls(props: { first: Waterfall | undefined; second: Waterfall | undefined }): VNode {
  const { first, second } = props;
  const most = Math.max(first?.total ?? 0, second?.total ?? 0, 1);
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Waterfall">
      <table class="table waterfall">
        <tbody>
          {STEPS.map((step, i) => (
            <tr key={step}>
              <th scope="row">
                <i class="swatch" style={{ background: STEP_COLOURS[i] }} /> {step}
              </th>
              <td class="falls">
                {first !== undefined && <Fall w={first} i={i} most={most} />}
                {second !== undefined && <Fall w={second} i={i} most={most} />}
              </td>
              {first !== undefined && <td class="num">{bytes(first.bytes[step])}</td>}
              {second !== undefined && <td class="num second">{bytes(second.bytes[step])}</td>}
            </tr>
          ))}
          <tr class="sum">
            <th scope="row">RSS and kernel</th>
            <td />
            {first !== undefined && <td class="num">{bytes(first.total)}</td>}
            {second !== undefined && <td class="num second">{bytes(second.total)}</td>}
          </tr>
        </tbody>
      </table>
    </div>
  );
}

/** One step of a waterfall: it begins where the one above ends. */
function Fall(props: { w: Waterfall; i: number; most: number }): VNode {
  const { w, i, most } = props;
  const before = STEPS.slice(0, i).reduce((a, s) => a + w.bytes[s], 0);
  const own = w.bytes[STEPS[i] ?? STEPS[0]];
  return (
    <span class="fall">
      <span
        style={{
          left: `${(100 * before) / most}%`,
          width: `${(100 * own) / most}%`,
          background: STEP_COLOURS[i] ?? '',
        }}
      />
    </span>
  );
}

function Difference(props: { a: Timeline; b: Timeline }): VNode {
  const { a, b } = props;
  const peak = (t: Timeline, name: CounterName): number => Math.max(...t.counters[name]);
  const events = [...new Set([...a.events, ...b.events].map((e) => e.name))];
  const sum = (t: Timeline, name: string): number =>
    t.events.find((e) => e.name === name)?.counts.reduce((x, y) => x + y, 0) ?? 0;
  const rows = [
    ...PLOTS.map((p) => [p.label, peak(a, p.name), peak(b, p.name), p.isMemory] as const),
    ...events.map((name) => [name, sum(a, name), sum(b, name), false] as const),
  ];
  return (
    <section>
      <h3>Difference: at most, and events of the whole run</h3>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Difference">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">what</th>
              <th scope="col" class="num">
                first
              </th>
              <th scope="col" class="num">
                second
              </th>
              <th scope="col" class="num">
                ratio
              </th>
            </tr>
          </thead>
          <tbody>
            {rows
              .filter(([, x, y]) => x > 0 || y > 0)
              .map(([name, x, y, isMemory]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td class="num">{isMemory ? pages(x) : count(x)}</td>
                  <td class="num">{isMemory ? pages(y) : count(y)}</td>
                  <td class="num">{x === 0 ? '' : `${(y / x).toFixed(2)}×`}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
