// The CPUs' TLBs as plain data: what they hold and how they did.

import type { CpuCounters } from '../../kernel/cpu.ts';
import { _PAGE_GLOBAL, _PAGE_RW } from '../../kernel/pte.ts';
import { FRONT_EMPTY, FRONT_WORDS } from '../../kernel/tlb.ts';
import { sizeOf, type TlbArray } from '../../kernel/tlb-array.ts';
import type { Subject } from './subject.ts';

export interface TlbEntry {
  readonly va: number;
  /** First frame; -1 where the form of the TLB does not keep it. */
  readonly pfn: number;
  readonly pcid: number;
  readonly writable: boolean;
  readonly global: boolean;
  /** 0 4 KiB, 1 2 MiB, 2 1 GiB. */
  readonly size: number;
}

export interface TlbArrayView {
  readonly name: string;
  readonly entries: number;
  readonly ways: number;
  /** By slot, undefined where empty. */
  readonly slots: readonly (TlbEntry | undefined)[];
}

export interface CpuView {
  readonly id: number;
  /** Process whose space is loaded, or -1. */
  readonly pid: number;
  readonly counters: CpuCounters;
  readonly arrays: readonly TlbArrayView[];
}

/** All CPUs. O(entries). */
export function tlbView(subject: Subject): CpuView[] {
  const { machine, tasks } = subject.system;
  const views: CpuView[] = [];
  for (let id = 0; id < machine.booted.cpus; id++) {
    const cpu = machine.smp.cpu(id);
    const { tlb } = cpu;
    const arrays: TlbArrayView[] = [];
    if (tlb.l2 === null) {
      arrays.push({ name: 'user, direct', entries: 1024, ways: 1, slots: front(tlb.userFront) });
    } else {
      tlb.l1.forEach((l1, i) => arrays.push(arrayView(`L1 ${['4 KiB', '2 MiB', '1 GiB'][i]}`, l1)));
      arrays.push(arrayView('L2', tlb.l2));
    }
    const task = [...tasks.values()].find((t) => t.mm === cpu.space);
    views.push({ id, pid: task?.tgid ?? -1, counters: { ...cpu.counters() }, arrays });
  }
  return views;
}

function front(words: Int32Array): (TlbEntry | undefined)[] {
  const slots: (TlbEntry | undefined)[] = [];
  for (let k = 0; k < FRONT_WORDS; k += 4) {
    const lo = words[k] ?? 0;
    const isThere = lo !== FRONT_EMPTY || words[k + 1] !== FRONT_EMPTY;
    slots.push(
      isThere
        ? {
            va: (words[k + 2] ?? 0) * 2 ** 32 + (lo >>> 0),
            pfn: -1,
            pcid: 0,
            writable: words[k + 1] === lo,
            global: false,
            size: 0,
          }
        : undefined,
    );
  }
  return slots;
}

function arrayView(name: string, array: TlbArray): TlbArrayView {
  const slots: (TlbEntry | undefined)[] = [];
  for (let slot = 0; slot < array.entries; slot++) {
    const tag = array.tag[slot] ?? 0;
    const key = array.rec[slot * 4] ?? 0;
    const flags = array.rec[slot * 4 + 2] ?? 0;
    slots.push(
      tag === 0
        ? undefined
        : {
            va: (key >> 16) * 2 ** 32 + ((tag & -0x1000) >>> 0),
            pfn: array.rec[slot * 4 + 1] ?? -1,
            pcid: key & 0xfff,
            writable: (flags & _PAGE_RW) !== 0,
            global: (flags & _PAGE_GLOBAL) !== 0,
            size: sizeOf(tag),
          },
    );
  }
  return { name, entries: array.entries, ways: array.ways, slots };
}
