// Probes: what a machine does within one step, seen more closely than its tracepoints.
//
//     tracepoints           as they are
//     read_entry            a walk of the tables reads an entry: where it lies, what it holds
//     entry_changed         an entry on the way to the address walked last is another now
//     list_add, list_del    a frame enters or leaves a list: LRU, per-CPU, a cache's partial slabs
//     free_list_add, _del   a free block enters or leaves a list of its zone: splits and merges
//     gc_copy, gc_subtract… a step of a collection of CPython's: its objects, and their gc_refs
//
// Probes are put around the methods of one machine's own objects and taken off again, as kprobes
// are: the machine's code knows nothing of them, and a machine without them pays nothing. An event
// is told when the method behind it is done, so lists are whole wherever the machine is held; a
// frame may be between two owners.
// Invariant: a machine with probes runs as it does without.

import type { Buddy } from '../../kernel/buddy.ts';
import { MAX_ORDER } from '../../kernel/types.ts';
import type { PageLists } from '../../kernel/list.ts';
import type { Cpu } from '../../kernel/mmu.ts';
import { TwoList } from '../../kernel/reclaim/two-list.ts';
import { type Subscriber, TRACEPOINTS } from '../../kernel/trace.ts';
import type { Pfn } from '../../kernel/types.ts';
import type { Walker } from '../../kernel/walker.ts';
import type { PythonRuntime } from '../../runtime/python/runtime.ts';
import type { System } from '../../userspace/system.ts';
import { gcRefsText } from '../python/gc-steps.ts';
import type { SessionProcess } from './source.ts';
import { entryHex, LEVEL_NAMES, walk, type WalkStep } from '../inspect.ts';

export interface Detail {
  readonly name: string;
  /** Numbers, and texts where a number would say nothing. */
  readonly args: Readonly<Record<string, number | string>>;
}

type Heard = (detail: Detail) => void;
/** The methods of an object that probes stand around. */
type Methods = Record<string, (...args: number[]) => unknown>;

const LRU_NAMES = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file'];

export class Probes {
  private readonly system: System;
  private readonly tell: Heard;
  private readonly undo: (() => void)[] = [];
  /** Entries on the way to the address that was walked last, as they were. */
  private last: { root: Pfn; va: number; entries: readonly WalkStep[] } | undefined;

  /** Puts probes on a machine: `heard` is called for everything until remove(). */
  constructor(system: System, processes: readonly SessionProcess[], heard: Heard) {
    this.system = system;
    this.tell = heard;
    const { machine } = system;
    const { trace, smp, alloc, lru } = machine;
    const traced: Subscriber = (point, _time, a, b, c) => {
      const { name, fields } = TRACEPOINTS[point]!;
      const values = [a, b, c];
      this.hear(name, Object.fromEntries(fields.map((f, i) => [f, values[i] ?? 0])));
    };
    trace.subscribe(traced);
    this.undo.push(() => trace.unsubscribe(traced));
    this.probeCpu(smp.cpu(smp.current));
    this.probeLists(alloc.tables.lists, () => 'per-CPU or slab');
    const { policy } = lru.pools[0]!;
    if (policy instanceof TwoList) {
      this.probeLists(policy.lists, (list) => LRU_NAMES[(list - policy.first) % 4] ?? '');
    }
    for (const zone of alloc.zones) this.probeBuddy(zone.buddy, zone.name);
    for (const { heap } of processes) if (heap?.runtime === 'python') this.probeGc(heap.py);
  }

  private probeGc(py: PythonRuntime): void {
    const was = py.gc.onStep;
    py.gc.onStep = (step, generation) => {
      const { objects, refs } = gcRefsText(py, step);
      const one = step.op === 0 ? {} : { object: `0x${step.op.toString(16)}` };
      const args = { generation, ...one, objects, refs };
      this.tell({ name: `gc_${step.step}`, args });
    };
    this.undo.push(() => {
      py.gc.onStep = was;
    });
  }

  remove(): void {
    for (const f of this.undo.splice(0)) f();
  }

  private hear(name: string, args: Detail['args']): void {
    this.compare();
    this.tell({ name, args });
  }

  /** Puts a method of one object's own in front of its class's; undone by remove(). */
  private around(
    object: object,
    method: string,
    make: (was: (...args: number[]) => unknown) => (...args: number[]) => unknown,
  ): void {
    const methods = object as Methods;
    const was = methods[method]!.bind(object);
    methods[method] = make(was);
    this.undo.push(() => Reflect.deleteProperty(object, method));
  }

  private probeCpu(cpu: Cpu): void {
    const { walker } = cpu;
    this.around(walker, 'walk', (was) => (lo, hi, access) => {
      this.walked(walker, lo, hi, startLevel(walker, lo, hi));
      return was(lo, hi, access);
    });
    // the short way: a PDE of the paging-structure cache, one entry read
    this.around(cpu, 'miss', (was) => (lo, hi, access) => {
      const before = cpu.counters().pdeHits - walker.pde.hits;
      const at = was(lo, hi, access);
      const quick = cpu.counters().pdeHits - walker.pde.hits > before;
      if (quick) this.walked(walker, lo, hi, 1);
      return at;
    });
  }

  private walked(walker: Walker, lo: number, hi: number, from: number): void {
    const va = hi * 2 ** 32 + (lo >>> 0);
    this.compare();
    const entries = this.entriesOf(walker.root, va);
    this.last = { root: walker.root, va, entries };
    for (const e of entries) if (e.level <= from) this.tell({ name: 'read_entry', args: told(e) });
  }

  /** The entries that lead to an address, from the top down to the first that leads no further. */
  private entriesOf(root: Pfn, va: number): readonly WalkStep[] {
    return walk(this.system.machine.mem, root, va).steps;
  }

  /** Tells of entries that changed since they were read. */
  private compare(): void {
    if (this.last === undefined) return;
    const { root, va, entries } = this.last;
    const now = this.entriesOf(root, va);
    this.last = { root, va, entries: now };
    for (const e of now) {
      const was = entries.find((o) => o.table === e.table && o.index === e.index);
      const [lo, hi] = [was?.lo ?? 0, was?.hi ?? 0];
      if (lo === e.lo && hi === e.hi) continue;
      this.tell({ name: 'entry_changed', args: { ...told(e), was: entryHex(lo, hi) } });
    }
  }

  private probeLists(lists: PageLists, nameOf: (list: number) => string): void {
    const add =
      (where: string) =>
      (was: (...args: number[]) => unknown) =>
      (list: number | undefined, pfn: number | undefined) => {
        was(list!, pfn!);
        this.hear('list_add', { list: nameOf(list!), pfn: pfn!, where });
      };
    this.around(lists, 'pushHead', add('head'));
    this.around(lists, 'pushTail', add('tail'));
    this.around(lists, 'remove', (was) => (list, pfn) => {
      was(list, pfn);
      this.hear('list_del', { list: nameOf(list), pfn: pfn });
    });
  }

  /** A zone's free blocks: what left its list, and which blocks came onto one. */
  private probeBuddy(buddy: Buddy, zone: string): void {
    const { tables } = this.system.machine.alloc;
    const told = (name: string, pfn: number, order: number): void =>
      this.hear(name, { zone, pfn, order });
    this.around(buddy, 'take', (was) => (order, type) => {
      let from = order;
      while (from <= MAX_ORDER && buddy.isEmpty(from, type)) from++;
      const pfn = was(order, type) as number;
      if (pfn < 0) return pfn;
      told('free_list_del', pfn, from);
      for (let o = from - 1; o >= order; o--) told('free_list_add', pfn + (1 << o), o);
      return pfn;
    });
    this.around(buddy, 'release', (was) => (pfn, order, toTail) => {
      const merged: [number, number][] = [];
      let start = pfn;
      let size = order;
      while (size < MAX_ORDER && tables.freeOrder(start ^ (1 << size)) === size) {
        merged.push([start ^ (1 << size), size]);
        start &= start ^ (1 << size);
        size++;
      }
      was(pfn, order, toTail);
      const grown = tables.freeOrder(start) >= 0 ? tables.freeOrder(start) : size;
      for (const [b, o] of merged.slice(0, grown - order)) told('free_list_del', b, o);
      told('free_list_add', start, grown);
      return undefined;
    });
  }
}

/** The level of the first entry that a walk reads: below what the paging-structure caches know. */
function startLevel({ pde, pdpte, pml4e, pcid }: Walker, lo: number, hi: number): number {
  if (pde.find(lo, hi, pcid) >= 0) return 1;
  if (pdpte.find(lo, hi, pcid) >= 0) return 2;
  return pml4e.find(lo, hi, pcid) >= 0 ? 3 : 4;
}

function told(e: WalkStep): Record<string, number | string> {
  const level = LEVEL_NAMES[e.level] ?? '';
  return { level, table: e.table, index: e.index, value: entryHex(e.lo, e.hi) };
}
