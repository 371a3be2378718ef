// What the page knows: signals that every view reads, and the actions that change them.
//
//     action --> engine (worker) --> status, a new version --> views ask for new snapshots
//
// A selection is one signal: whatever selects, everything else follows.

import { computed, signal } from '@preact/signals';
import { wrap, type Remote } from 'comlink';
import type { Selection } from '../inspect/selection.ts';
import type { Engine, Status } from './engine.ts';
import EngineWorker from './worker.ts?worker';

export type ViewName =
  'memory' | 'space' | 'buddy' | 'slab' | 'tlb' | 'lru' | 'heap' | 'bytes' | 'compare' | 'chain';

export const engine: Remote<Engine> = wrap<Engine>(new EngineWorker());

export const status = signal<Status | undefined>(undefined);
export const selection = signal<Selection | undefined>(undefined);
export const view = signal<ViewName>('memory');
/** The glossary's entry that is open; '' for none. */
export const explained = signal('');
/** The frame of the selection, or -1. */
export const selectedFrame = computed(() =>
  selection.value?.kind === 'frame' ? selection.value.pfn : -1,
);
export const busy = signal('');
export const failure = signal('');

/** Runs an action of the worker, saying so meanwhile; what it throws is shown. */
export async function working(what: string, action: () => Promise<void>): Promise<void> {
  busy.value = what;
  failure.value = '';
  try {
    await action();
  } catch (e) {
    failure.value = e instanceof Error ? e.message : String(e);
  } finally {
    busy.value = '';
  }
}

export function select(s: Selection | undefined): void {
  selection.value = s;
}

/** Opens what the link names, or the first example. */
export async function start(): Promise<void> {
  await working('starting', async () => {
    status.value = await engine.open('binary-trees');
    document.body.dataset['ready'] = 'yes';
  });
}
