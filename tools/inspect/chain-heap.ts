// The upper links of a chain: what an address is in the heap of its process.

import { ARENA_BYTES } from '../../runtime/go/sys.ts';
import { sizesText } from '../../runtime/python/profile.ts';
import { hexText, type ChainFact, type ChainLink } from './chain-parts.ts';
import { goObjectAt } from './go-object.ts';
import { pythonBlocksAt } from './python-arenas.ts';
import { pythonObjectAt } from './python.ts';
import type { Selection } from './selection.ts';
import type { SubjectProcess } from './subject.ts';

/** From the object at `va` up to its arena; none outside of heaps. */
export function heapLinks(p: SubjectProcess, va: number): ChainLink[] {
  if (p.heap?.runtime === 'go') return goLinks(p, va);
  return p.heap?.runtime === 'python' ? pythonLinks(p, va) : [];
}

function goLinks(p: SubjectProcess, va: number): ChainLink[] {
  if (p.heap?.runtime !== 'go') return [];
  const { go } = p.heap;
  const found = goObjectAt(go, p.task.mm, va);
  if (found === undefined) return [];
  const { span, object } = found;
  const at = (address: number): Selection => ({ kind: 'address', pid: p.task.pid, va: address });
  const links: ChainLink[] = [];
  if (object !== undefined) {
    const state = object.allocated ? 'in use' : 'free';
    const facts: ChainFact[] = [
      { label: 'address', value: hexText(object.address) },
      { label: 'state', value: `${state}${object.marked ? ', marked' : ''}` },
      { label: 'pointers', value: `${object.pointers} words` },
    ];
    for (const w of object.words.filter((word) => word.target !== 0).slice(0, 6)) {
      facts.push({ label: `+${w.offset}`, value: `→ ${hexText(w.target)}`, select: at(w.target) });
    }
    links.push({
      kind: 'object',
      term: 'go-object',
      title: `Go object, slot ${object.slot} of ${object.size} bytes`,
      facts,
      select: at(object.address),
    });
  }
  const what = span.spanclass >> 1 === 0 ? 'large' : `class ${span.spanclass >> 1}`;
  links.push({
    kind: 'span',
    term: 'go-span',
    title: `mspan ${span.number}, ${span.bytes / 1024} KiB`,
    facts: [
      { label: 'starts', value: hexText(span.start) },
      { label: 'holds', value: `${what}${span.noscan ? ', no pointers' : ''}` },
      { label: 'slots', value: `${span.allocCount} of ${span.nelems} in use` },
      { label: 'place', value: span.place },
      { label: 'record', value: hexText(span.record), select: at(span.record) },
    ],
    select: at(span.start),
  });
  const arena = va - ((va - go.sys.heapBase) % ARENA_BYTES);
  links.push({
    kind: 'arena',
    term: 'go-arena',
    title: `heap arena ${hexText(arena)}`,
    facts: [],
    select: at(arena),
  });
  return links;
}

function pythonLinks(p: SubjectProcess, va: number): ChainLink[] {
  const at = (address: number): Selection => ({ kind: 'address', pid: p.task.pid, va: address });
  const links: ChainLink[] = [];
  const object = pythonObjectAt(p, va);
  if (object !== undefined) {
    const { generation, gcRefs } = object;
    const facts: ChainFact[] = [
      { label: 'address', value: hexText(object.address) },
      { label: 'refcount', value: object.refcount < 0 ? 'immortal' : `${object.refcount}` },
    ];
    if (object.text !== '') facts.push({ label: 'holds', value: object.text });
    if (object.tracked) {
      const value = generation < 0 ? 'tracked' : `tracked, generation ${generation}`;
      facts.push({ label: 'collector', value });
    }
    if (gcRefs >= 0) facts.push({ label: 'gc_refs', value: `${gcRefs}` });
    for (const r of object.references.slice(0, 6)) {
      const value = `→ ${r.type}${r.text === '' ? '' : ` ${r.text}`}`;
      facts.push({ label: 'refers to', value, select: at(r.address) });
    }
    links.push({
      kind: 'object',
      term: 'py-object',
      title: `Python ${object.type}, ${object.size} bytes`,
      facts,
      select: at(object.address),
    });
  }
  const place = pythonBlocksAt(p, va);
  if (place === undefined) return links;
  const { pool, arena, first } = place;
  const n = pool.size === 0 ? -1 : Math.floor((va - first) / pool.size);
  const state = ['never used', 'free', 'in use'][place.blocks[n] ?? 0] ?? '';
  if (n >= 0 && n < pool.blocks) {
    links.push({
      kind: 'block',
      term: 'py-block',
      title: `block ${n} of ${pool.size} bytes, ${state}`,
      facts: [],
      select: at(first + n * pool.size),
    });
  }
  links.push({
    kind: 'pool',
    term: 'py-pool',
    title: `pool ${place.poolIndex}, ${arena.poolBytes / 1024} KiB`,
    facts: [
      { label: 'starts', value: hexText(pool.address) },
      { label: 'blocks', value: `${pool.used} of ${pool.blocks} in use` },
    ],
    select: at(pool.address),
  });
  links.push({
    kind: 'arena',
    term: 'py-arena',
    title: `arena ${arena.index}, ${arena.bytes / 1024} KiB`,
    facts: [
      { label: 'starts', value: hexText(arena.address) },
      { label: 'pools', value: `${arena.freePools} of ${arena.totalPools} free` },
      ...(p.heap?.runtime === 'python'
        ? [{ label: 'sizes', value: sizesText(p.heap.py.profile) }]
        : []),
    ],
    select: at(arena.address),
  });
  return links;
}
