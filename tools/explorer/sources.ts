// What the page offers to open, and how a link names it.
//
//     example:NAME   a file beside the page       workload:NAME:CASE:SCALE       file   what
//     `pagewalk explore FILE` serves              local:NAME   a dropped file: no link reopens it

import type { Source } from './engine.ts';

export interface Offer {
  readonly id: string;
  readonly label: string;
  readonly about: string;
}

const SCALE = 0.25;
const workload = (name: string, lang: string, about: string): Offer => ({
  id: `workload:${name}:${lang}:${SCALE}`,
  label: `${name.replace(/-/g, ' ')}, ${lang === 'go' ? 'Go' : 'Python'}`,
  about,
});
const example = (file: string, label: string, about: string): Offer => ({
  id: `example:${file}`,
  label,
  about,
});

/** By kind, in the order in which they are offered. */
export const OFFERS: readonly { readonly kind: string; readonly offers: readonly Offer[] }[] = [
  {
    kind: 'Workloads: a program on a runtime’s heap',
    offers: [
      workload('binary-trees', 'go', 'small objects, made and dropped'),
      workload('binary-trees', 'python', 'the same on CPython’s heap'),
      workload('lru-cache', 'go', 'a map and a linked list'),
      workload('lru-cache', 'python', 'dict and instances'),
      workload('graphs', 'go', 'cycles that a collector has to find'),
      workload('graphs', 'python', 'cycles that reference counts cannot free'),
    ],
  },
  {
    kind: 'Scenarios: page faults, step by step',
    offers: [
      example('fork-parent-writes-first.scn', 'fork and copy on write', 'who copies, who reuses'),
      example('swap-out-and-in.scn', 'swap out and in', 'a page leaves and comes back'),
      example('thp-fault.scn', 'a huge page', 'one fault, 512 frames'),
      example('memfd-shared-faultaround.scn', 'shared memory', 'faults map their surroundings'),
      example('mprotect-split-merge.scn', 'mprotect', 'mappings split and merge'),
    ],
  },
  {
    kind: 'Recordings of real programs',
    offers: [
      example('pair-hello-go.trace.gz', 'hello, Go', 'a whole process'),
      example('pair-hello-python.trace.gz', 'hello, Python', 'a whole process'),
      example('pair-word_count-go.trace.gz', 'word count, Go', 'reads, maps, strings'),
      example('pair-word_count-python.trace.gz', 'word count, Python', 'reads, dict, strings'),
      example('forkserver.trace.gz', 'a fork server', 'many processes, shared pages'),
    ],
  },
  {
    kind: 'Allocation scripts',
    offers: [
      example('04.heap', 'random graphs on Go', 'allocations and collections'),
      example('random-manual-021.pyobj', 'objects on CPython', 'reference counts and cycles'),
    ],
  },
];

/** What opens where nothing is named. */
export const FIRST = 'workload:binary-trees:go:0.25';

let local: { id: string; source: Source } | undefined;

/** Keeps a file that was dropped or picked, and names it. */
export function keepLocal(name: string, bytes: Uint8Array<ArrayBuffer>): string {
  local = { id: `local:${name}`, source: { name, bytes } };
  return local.id;
}

/** The source that an id names. @throws Error where it cannot be had */
export async function sourceOf(id: string): Promise<Source> {
  if (local?.id === id) return local.source;
  const w = /^workload:([\w-]+):([\w:.=,]+):([\d.]+)$/.exec(id);
  if (w !== null) {
    return { workload: w[1] ?? '', case: w[2] ?? 'go', scale: Math.min(1, Number(w[3])) };
  }
  const file = /^example:([\w.-]+)$/.exec(id)?.[1];
  if (file !== undefined) return await fetched(`./examples/${file}`, file);
  if (id.startsWith('local:')) {
    throw new Error(`${id.slice(6)} is a file of yours: drop it here again, a link cannot hold it`);
  }
  return await fetched('./file', id);
}

async function fetched(url: string, name: string): Promise<Source> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${name}: the server does not have it (${response.status})`);
  return { name, bytes: new Uint8Array(await response.arrayBuffer()) };
}
