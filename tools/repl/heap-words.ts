// Words that look at a runtime's heap, and the whole chain from an object to its zone.

import { InputError } from '../../kernel/errors.ts';
import { chainOf } from '../inspect/chain.ts';
import type { ChainLink } from '../inspect/chain-parts.ts';
import { goView } from '../inspect/go.ts';
import { sizesText } from '../../runtime/python/profile.ts';
import { pythonView } from '../inspect/python.ts';
import type { SessionProcess } from '../session/source.ts';
import { addressArg, type Prompt, type Word } from './words.ts';

const chain: Word = {
  name: 'chain',
  usage: 'chain [ADDRESS]',
  what: 'from the object at an address to its slot, span or pool, mapping, entries, frame, zone',
  examples: ['chain 0xc000012000', 'chain [heap]'],
  completions: () => ['[heap]', '[stack]', 'brk'],
  run: (prompt, [where]) => links(prompt, addressArg(prompt, where)).flatMap(linkText),
};

const heap: Word = {
  name: 'heap',
  usage: 'heap [ADDRESS]',
  what: "Go's or CPython's heap: spans or pools by class; or what lies at an address",
  examples: ['heap', 'heap 0xc000012000'],
  run: (prompt, [where]) => {
    const { process } = prompt;
    if (process.heap === undefined) {
      throw new InputError(
        '',
        `process ${process.id} (${process.name}) has no runtime whose heap is known`,
      );
    }
    if (where === undefined) return heapText(process);
    const found = links(prompt, addressArg(prompt, where));
    const end = found.findIndex((link) => link.kind === 'vma');
    const own = found.slice(0, Math.max(0, end));
    return own.length > 0 ? own.flatMap(linkText) : ["not in the runtime's heap"];
  },
};

function links(prompt: Prompt, va: number): readonly ChainLink[] {
  const { pid } = prompt.process.task;
  return chainOf(prompt.session, { kind: 'address', pid, va }).links;
}

function linkText(link: ChainLink): string[] {
  const facts = link.facts.map(({ label, value }) => `    ${label.padEnd(14)} ${value}`);
  return [`  ${link.kind}: ${link.title}`, ...facts];
}

function heapText(process: SessionProcess): string[] {
  if (process.heap?.runtime === 'go') return goText(process.heap.go);
  const view = pythonView(process);
  if (view === undefined) throw new InputError('', 'the heap cannot be read without a page fault');
  const generations = view.generations.map(
    (g) =>
      `  ${g.generation}: ${g.objects} objects, count ${g.count} of ${g.threshold}, ` +
      `${g.collections} collections freed ${g.collected}`,
  );
  const classes = [...view.classes].sort((a, b) => a.size - b.size);
  return [
    `CPython ${view.version}: ${view.arenas.length} arenas`,
    ...(process.heap?.runtime === 'python' ? [sizesText(process.heap.py.profile)] : []),
    'size   pools  blocks in use',
    ...classes.map((c) => row([c.size, 4], [c.pools, 8], [`${c.used} of ${c.blocks}`, 15])),
    'generations',
    ...generations,
  ];
}

function goText(go: Parameters<typeof goView>[0]): string[] {
  const view = goView(go);
  return [
    `${view.profile}: ${view.arenas.length} arenas, ${view.collections} collections, ${view.phase}`,
    ...view.figures.map(([name, value]) => `  ${name.padEnd(20)} ${Math.round(value / 1024)} KiB`),
    'class   size  pointers  spans  objects in use',
    ...view.classes.map((c) =>
      row(
        [c.spanclass >> 1, 5],
        [c.size, 7],
        [c.noscan ? 'no' : 'yes', 10],
        [c.spans, 7],
        [`${c.objects} of ${c.slots}`, 16],
      ),
    ),
  ];
}

/** Cells, each with its width, aligned to the right. */
function row(...cells: readonly (readonly [number | string, number])[]): string {
  return cells.map(([value, width]) => String(value).padStart(width)).join('');
}

export const HEAP_WORDS: readonly Word[] = [chain, heap];
