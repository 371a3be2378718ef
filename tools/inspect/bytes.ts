// Bytes of memory, physical or virtual, and what structure each 8 of them belong to.

import { PG_slab, PG_table } from '../../kernel/page.ts';
import { _PAGE_PRESENT, pteFlagNames, pteNone } from '../../kernel/pte.ts';
import { PAGE_SIZE } from '../../kernel/types.ts';
import { goObjectAt } from './go-object.ts';
import { Peek } from './peek.ts';
import { pythonBlocksAt } from './python-arenas.ts';
import { processOf, type Subject } from './subject.ts';

export interface ByteRow {
  /** Address of its first byte: virtual where a process is given, else physical. */
  readonly at: number;
  /** 16 of them; -1 where no frame is present. */
  readonly bytes: readonly number[];
  /** What lies there, where that is known. */
  readonly note: string;
}

/**
 * Rows of 16 bytes from `from` (rounded down) on.
 * @param pid a process, or 0 for physical addresses.
 */
export function byteRows(subject: Subject, pid: number, from: number, rows: number): ByteRow[] {
  const start = from - (((from % 16) + 16) % 16);
  const out: ByteRow[] = [];
  const p = pid === 0 ? undefined : processOf(subject, pid);
  if (pid !== 0 && p === undefined) return out;
  const { mem, pages } = subject.system.machine;
  const peek = p === undefined ? undefined : new Peek(p.task.mm);
  for (let i = 0; i < rows; i++) {
    const at = start + i * 16;
    const bytes: number[] = [];
    for (let n = 0; n < 16; n++) {
      if (peek !== undefined) bytes.push(peek.byte(at + n));
      else bytes.push(physicalByte(subject, at + n));
    }
    let note = '';
    if (p !== undefined) note = heapNote(subject, pid, at);
    else if (at >= 0 && at < pages.nrFrames * PAGE_SIZE) {
      note = frameNote(subject, Math.floor(at / PAGE_SIZE), at);
    }
    out.push({ at, bytes, note });
  }
  return out;

  function physicalByte(s: Subject, address: number): number {
    const pfn = Math.floor(address / PAGE_SIZE);
    if (address < 0 || !s.system.machine.booted.memblock.isRam(pfn)) return -1;
    return mem.bytes[mem.readable(pfn) * 4 + (address % PAGE_SIZE)] ?? 0;
  }
}

/** Two entries a row in a page table; the objects of a slab. */
function frameNote(subject: Subject, pfn: number, at: number): string {
  const { mem, pages, slab } = subject.system.machine;
  const flags = pages.flags(pages.head(pfn));
  if ((flags & PG_table) !== 0) {
    const words = mem.readable(pfn) + (at % PAGE_SIZE) / 4;
    const first = Math.floor((at % PAGE_SIZE) / 8);
    const told = [0, 1].flatMap((i) => {
      const lo = mem.words[words + 2 * i] ?? 0;
      const hi = mem.words[words + 2 * i + 1] ?? 0;
      if (pteNone(lo, hi)) return [];
      const bits = (lo & _PAGE_PRESENT) !== 0 ? pteFlagNames(lo, hi).join(' ') : 'not present';
      return [`[${first + i}] ${bits}`];
    });
    return told.join(' · ');
  }
  if ((flags & PG_slab) !== 0) {
    const cache = slab.cacheOf(pfn);
    if (cache === undefined) return '';
    const head = pages.head(pfn);
    const offset = at - head * PAGE_SIZE - cache.layout.redLeft;
    const n = Math.floor(offset / cache.layout.size);
    const isStart = offset - n * cache.layout.size < 16;
    return isStart && n < cache.slabs.objectsOf(head) ? `${cache.name} object ${n}` : '';
  }
  return '';
}

/** Where an object, a block or a pool's header begins. */
function heapNote(subject: Subject, pid: number, at: number): string {
  const p = processOf(subject, pid);
  if (p?.heap?.runtime === 'go') {
    const found = goObjectAt(p.heap.go, p.task.mm, at + 15);
    const object = found?.object;
    if (object === undefined || object.address < at || object.address > at + 15) return '';
    return `slot ${object.slot}${object.allocated ? '' : ' (free)'}`;
  }
  if (p?.heap?.runtime === 'python') {
    const place = pythonBlocksAt(p, at + 15);
    if (place === undefined) return '';
    if (at < place.first) return at === place.pool.address ? 'pool header' : '';
    const n = Math.floor((at + 15 - place.first) / Math.max(1, place.pool.size));
    const start = place.first + n * place.pool.size;
    if (start < at || start > at + 15) return '';
    const state = ['never used', 'free', 'in use'][place.blocks[n] ?? 0] ?? '';
    return n < place.pool.blocks ? `block ${n}, ${state}` : '';
  }
  return '';
}
