// What the page knows: signals that every view reads, and the actions that change them.
//
//     action --> engine (worker) --> status, a new version --> views ask for new snapshots
//
// A selection is one signal: whatever selects, everything else follows. The page's address is kept
// as the link that reopens what is seen.

import { computed, effect, signal } from '@preact/signals';
import { wrap, type Remote } from 'comlink';
import type { Chain } from '../inspect/chain.ts';
import type { InspectionArgs, InspectionName, InspectionResult } from '../inspect/index.ts';
import type { Selection } from '../inspect/selection.ts';
import type { BreakPoint } from '../session/session.ts';
import type { Why } from '../session/why.ts';
import type { Engine, Move, Question, Status } from './engine.ts';
import { linkText, parseLink } from './link.ts';
import { FIRST, sourceOf } from './sources.ts';
import type { Timeline } from './timeline-data.ts';
import EngineWorker from './worker.ts?worker';

export type ViewName =
  | 'memory'
  | 'space'
  | 'heap'
  | 'buddy'
  | 'slab'
  | 'tlb'
  | 'lru'
  | 'bytes'
  | 'compare'
  | 'events'
  | 'chain';

export const VIEW_NAMES: readonly ViewName[] = [
  'memory',
  'space',
  'heap',
  'buddy',
  'slab',
  'tlb',
  'lru',
  'bytes',
  'events',
  'compare',
  'chain',
];

export const engine: Remote<Engine> = wrap<Engine>(new EngineWorker());

/** What is open, as sources.ts names it. */
export const opened = signal('');
export const status = signal<Status | undefined>(undefined);
export const timeline = signal<Timeline | undefined>(undefined);
export const selection = signal<Selection | undefined>(undefined);
/** The chain of the selection in the present state. */
export const chain = signal<Chain | undefined>(undefined);
export const view = signal<ViewName>('memory');
/** The process that views of one process show. */
export const pid = signal(0);
/** The glossary's entry that is open; '' for none. */
export const explained = signal('');
/** The dialogue that is open: files to open, help; '' for none. */
export const dialogue = signal<'' | 'open' | 'help' | 'compare'>('');
export const playing = signal(false);
export const busy = signal('');
export const failure = signal('');
/** Said to those who do not see: what an action came to. */
export const said = signal('');
/** The answer to the last question after causes. */
export const why = signal<Why | undefined>(undefined);
/** What a run until an event waits for. */
export const breakPoint = signal<BreakPoint>({ points: ['mm_page_free'] });

/** The frame of the selection, or -1. */
export const selectedFrame = computed(() => chain.value?.pfn ?? -1);
/** The virtual address of the selection in the shown process, or NaN. */
export const selectedAddress = computed(() =>
  chain.value?.pid === pid.value ? (chain.value.va ?? NaN) : NaN,
);

/** Takes a look at the machine. */
export function ask<K extends InspectionName>(
  name: K,
  args: InspectionArgs<K>,
): Promise<InspectionResult<K>> {
  const inspect = engine.inspect as unknown as (
    name: K,
    args: InspectionArgs<K>,
  ) => Promise<InspectionResult<K>>;
  return inspect(name, args);
}

/** Runs an action of the worker, saying so meanwhile; what it throws is shown. */
export async function working(what: string, action: () => Promise<void>): Promise<void> {
  busy.value = what;
  failure.value = '';
  try {
    await action();
  } catch (e) {
    failure.value = e instanceof Error ? e.message : String(e);
    playing.value = false;
  } finally {
    busy.value = '';
  }
}

export function select(s: Selection | undefined): void {
  selection.value = s;
  why.value = undefined;
  if (s?.kind === 'address') pid.value = s.pid;
}

export function show(name: ViewName): void {
  view.value = name;
}

/** Opens a source at a step. @param id as sources.ts names it */
export async function open(id: string, at?: number): Promise<void> {
  dialogue.value = '';
  playing.value = false;
  await working('opening', async () => {
    const source = await sourceOf(id);
    const found = await engine.open(source, at);
    opened.value = id;
    select(undefined);
    otherStatus.value = undefined;
    arrive(found);
    timeline.value = await engine.timeline(600);
  });
}

/** What is open beside it, to compare. */
export const otherStatus = signal<Status | undefined>(undefined);

/** Opens a second session beside the first. */
export async function openOther(id: string): Promise<void> {
  dialogue.value = '';
  await working('opening', async () => {
    otherStatus.value = await engine.openOther(await sourceOf(id));
    view.value = 'compare';
  });
}

/** Runs to the next event that is waited for. */
export async function runToBreak(): Promise<void> {
  await move({ until: breakPoint.value });
}

/** Asks after causes; the answer stands under the chain. */
export async function askWhy(question: Question): Promise<void> {
  await working('looking back', async () => {
    why.value = await engine.why(question);
    said.value = why.value.answer;
  });
}

/** Moves in time. */
export async function move(to: Move): Promise<void> {
  await working('running', async () => {
    const before = status.value;
    const found = await engine.move(to);
    arrive(found);
    if (!found.met) playing.value = false;
    const isNew = found.length !== before?.length || found.position > (timeline.value?.known ?? 0);
    if (isNew) timeline.value = await engine.timeline(600);
    said.value = `step ${found.position} of ${found.length}${found.met ? '' : ': not met'}`;
  });
}

function arrive(found: Status): void {
  const { processes } = found;
  if (!processes.some((p) => p.pid === pid.value)) {
    pid.value = (processes.find((p) => p.runtime !== undefined) ?? processes[0])?.pid ?? 0;
  }
  status.value = found;
}

/** Opens what the link names, or the first example. */
export async function start(): Promise<void> {
  const link = parseLink(window.location.hash);
  if (VIEW_NAMES.includes(link.view as ViewName)) view.value = link.view as ViewName;
  await open(link.open ?? FIRST, link.at);
  select(link.selection ?? (await ask('telling', [pid.value])));
  effect(follow);
  effect(remember);
  window.addEventListener('hashchange', () => void reopen());
}

/** The user changed the address: goes there. */
async function reopen(): Promise<void> {
  const link = parseLink(window.location.hash);
  if (window.location.hash === here()) return;
  if (VIEW_NAMES.includes(link.view as ViewName)) view.value = link.view as ViewName;
  if (link.open !== undefined && link.open !== opened.value) await open(link.open, link.at);
  else if (link.at !== undefined && link.at !== status.value?.position) {
    await move({ to: link.at });
  }
  if (link.selection !== undefined) select(link.selection);
}

let asked = 0;

/** Asks for the chain of the selection, in each new state. */
function follow(): void {
  const wanted = selection.value;
  const version = status.value?.version;
  if (wanted === undefined || version === undefined) {
    chain.value = undefined;
    return;
  }
  const n = ++asked;
  ask('chain', [wanted]).then(
    (found) => {
      if (n === asked) chain.value = found;
      document.body.dataset['ready'] = 'yes';
    },
    (e: unknown) => (failure.value = String(e)),
  );
}

function here(): string {
  return linkText({
    open: opened.value,
    at: status.value?.position,
    view: view.value,
    selection: selection.value,
  });
}

/** Keeps the page's address as the link to what is seen. */
function remember(): void {
  const hash = here();
  if (hash !== window.location.hash) window.history.replaceState(null, '', hash);
}
