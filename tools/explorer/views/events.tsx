// The kernel's events around the present step, and what a run is to stop at.

import { signal, useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Detail } from '../../session/probes.ts';
import type { EventText } from '../engine.ts';
import { count, hex } from '../format.ts';
import {
  breakPoint,
  chain,
  engine,
  failure,
  move,
  pid,
  runToBreak,
  select,
  status,
  timeline,
} from '../model.ts';
import { Term } from '../parts/term.tsx';
import { ViewHead } from '../parts/view-head.tsx';

const MOST = 300;
const FRAME_FIELDS = ['pfn', 'from', 'to', 'table'];
/** Steps before the present one that are shown. */
const BEFORE = 12;

const POINTS = [
  'page_fault_user',
  'mm_page_alloc',
  'mm_page_free',
  'mm_fault_anon',
  'mm_fault_zero',
  'mm_fault_copy',
  'mm_fault_reuse',
  'mm_filemap_add_to_page_cache',
  'mm_filemap_delete_from_page_cache',
  'mm_vmscan_write_folio',
  'kmem_cache_alloc',
  'kmem_cache_free',
  'tlb_flush',
  'mark_victim',
];

const chosen = signal('mm_page_free');
const thisFrame = signal(false);

export function EventsView(): VNode {
  const events = useSignal<readonly EventText[]>([]);
  const position = status.value?.position ?? 0;
  const version = status.value?.version;
  useEffect(() => {
    engine.events(Math.max(0, position - BEFORE), position + BEFORE, MOST).then(
      (found) => (events.value = found),
      (e: unknown) => (failure.value = String(e)),
    );
  }, [version]);
  const steps = new Map<number, EventText[]>();
  for (const e of events.value) steps.set(e.step, [...(steps.get(e.step) ?? []), e]);
  return (
    <div class="view">
      <ViewHead title="Events" term="events">
        {timeline.value !== undefined && `${count(timeline.value.nrEvents)} in the run so far`}
      </ViewHead>
      <BreakForm />
      <Within />
      <div class="event-sums">
        {timeline.value?.events.map((e) => (
          <span key={e.name} class="event-sum">
            <code>{e.name}</code> {count(e.counts.reduce((a, b) => a + b, 0))}
          </span>
        ))}
      </div>
      <ol class="event-steps">
        {[...steps].map(([step, list]) => (
          <li key={step} aria-current={step === position - 1 ? 'step' : undefined}>
            <button
              type="button"
              class="goto mono event-step"
              onClick={() => void move({ to: step + 1 })}
            >
              step {step + 1}
            </button>
            <ul>
              {list.map((e, i) => (
                <Event key={i} event={e} />
              ))}
            </ul>
          </li>
        ))}
        {steps.size === 0 && <li class="soft">No events in the steps around this one.</li>}
      </ol>
    </div>
  );
}

/** What happens in the step that is entered, or in the next one, detail by detail. */
function Within(): VNode {
  const details = useSignal<readonly Detail[] | undefined>(undefined);
  const s = status.value;
  const inside = s?.inside ?? 0;
  const current = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (inside === 0) {
      details.value = undefined;
      return;
    }
    engine.details(MOST).then(
      (found) => (details.value = found),
      (e: unknown) => (failure.value = String(e)),
    );
  }, [s?.position, inside > 0]);
  useEffect(() => current.current?.scrollIntoView({ block: 'nearest' }), [inside, details.value]);
  if (inside === 0 || details.value === undefined) {
    return (
      <p class="soft within-hint">
        <kbd>]</kbd> goes into the next step, detail by detail: each entry that a walk reads, each
        move from list to list.
      </p>
    );
  }
  return (
    <section aria-label="Within the step" class="within">
      <h3 class="mono">
        within: {s?.next} <Term id="probes" />
      </h3>
      <ol class="within-list">
        {details.value.map((d, i) => (
          <li
            key={i}
            ref={i === inside - 1 ? current : null}
            aria-current={i === inside - 1 ? 'step' : undefined}
            class={i < inside ? 'mono event happened' : 'mono event to-come'}
          >
            <button
              type="button"
              class="goto event-name"
              onClick={() => void move({ details: i + 1 - inside })}
            >
              {d.name}
            </button>
            {Object.entries(d.args).map(([name, value]) => (
              <span key={name} class="event-field">
                {name}={typeof value === 'number' ? <Field name={name} value={value} /> : value}
              </span>
            ))}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Event(props: { event: EventText }): VNode {
  const { event } = props;
  return (
    <li class="mono event">
      <span class="event-name">{event.name}</span>
      {Object.entries(event.args).map(([name, value]) => (
        <span key={name} class="event-field">
          {name}=<Field name={name} value={value} />
        </span>
      ))}
    </li>
  );
}

function Field(props: { name: string; value: number }): VNode {
  const { name, value } = props;
  if (FRAME_FIELDS.includes(name)) {
    return (
      <button
        type="button"
        class="goto"
        onClick={() => select({ kind: 'frame', pfn: value, offset: 0 })}
      >
        {hex(value)}
      </button>
    );
  }
  if (name === 'address') {
    return (
      <button
        type="button"
        class="goto"
        onClick={() => select({ kind: 'address', pid: pid.value, va: value })}
      >
        {hex(value)}
      </button>
    );
  }
  return <>{name === 'ptr' ? hex(value) : value}</>;
}

function BreakForm(): VNode {
  const pfn = chain.value?.pfn ?? -1;
  const run = (): void => {
    const isFrame = thisFrame.value && pfn >= 0;
    breakPoint.value = isFrame
      ? { points: [chosen.value], fields: { [fieldOf(chosen.value)]: pfn } }
      : { points: [chosen.value] };
    void runToBreak();
  };
  return (
    <form
      class="break"
      onSubmit={(e) => {
        e.preventDefault();
        run();
      }}
    >
      <label>
        Run until{' '}
        <select
          value={chosen.value}
          onChange={(e) => {
            chosen.value = e.currentTarget.value;
            breakPoint.value = { points: [chosen.value] };
          }}
        >
          {POINTS.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        <input
          type="checkbox"
          checked={thisFrame.value}
          onChange={(e) => (thisFrame.value = e.currentTarget.checked)}
        />{' '}
        of the selected frame{pfn >= 0 ? ` ${hex(pfn)}` : ''}
      </label>
      <button type="submit" class="button">
        Run (b)
      </button>{' '}
      <Term id="events" />
    </form>
  );
}

/** The field of an event that names its frame. */
function fieldOf(name: string): string {
  return name === 'mm_fault_copy' ? 'to' : 'pfn';
}
