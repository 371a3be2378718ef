// A test double for a process's memory: the Memory of a runtime without a kernel underneath.
//
// Pages are made on first touch in one Int32Array; a translation is a Map with a small cache,
// direct-mapped, before it. mmap places from the top down like Linux 6.18's mmap_base (and, like
// it, aligns anonymous mappings of whole huge pages to 2 MiB); protections are in a sorted list.
// System calls are counted by name and can be recorded as text, in strace's form.
//
// Not modelled: file mappings, mapping limits, faults as events, reclaim.

import {
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MREMAP_MAYMOVE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../userspace/mman.ts';
import { GuestSignal, type Memory } from '../../runtime/memory.ts';

const PAGE = 4096;
const PAGE_WORDS = 1024;
const HUGE = 0x200000;
const TLB_SIZE = 4096;
const EEXIST = 17;
const EINVAL = 22;
const ENOMEM = 12;
const TASK_SIZE = 0x7ffffffff000;

interface Range {
  start: number;
  end: number;
  prot: number;
}

export interface FlatMemoryOptions {
  /** Most bytes that can be present at one time; committed on the host as they are touched. */
  readonly capacityBytes?: number;
  /** Where the search from the top down begins: the end of the first mapping made. */
  readonly top?: number;
  /** Start of the brk heap. */
  readonly brkStart?: number;
}

export class FlatMemory implements Memory {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** How often each system call was made, by name. */
  readonly calls: Record<string, number> = {};
  readonly moved = new Int32Array(1);
  /** Set to [] to record each system call as a line of strace's text. */
  log: string[] | null = null;
  private readonly top: number;
  private readonly brkStart: number;
  private brkEnd: number;
  private ranges: Range[] = [];
  private readonly slots = new Map<number, number>();
  private freeSlots: number[] = [];
  private usedSlots = 1;
  private readonly tlbPage = new Float64Array(TLB_SIZE).fill(-1);
  private readonly tlbSlot = new Int32Array(TLB_SIZE);

  constructor(options: FlatMemoryOptions = {}) {
    this.words = new Int32Array((options.capacityBytes ?? 1 << 30) / 4);
    this.bytes = new Uint8Array(this.words.buffer);
    this.top = options.top ?? 0x7ffff7fff000;
    this.brkStart = options.brkStart ?? 0x555555580000;
    this.brkEnd = this.brkStart;
  }

  /** Pages present now. */
  get residentPages(): number {
    return this.slots.size;
  }

  /** The mappings, in order, neighbours of one protection merged: [start, end, prot]. */
  mappings(): [number, number, number][] {
    return this.ranges.map((r) => [r.start, r.end, r.prot]);
  }

  touch(va: number, write: boolean): number {
    const page = Math.floor(va / PAGE);
    const index = page % TLB_SIZE;
    let slot: number;
    if (this.tlbPage[index] === page) slot = this.tlbSlot[index] ?? 0;
    else slot = this.fill(va, page, index, write);
    return slot * PAGE_WORDS + ((va & 0xfff) >>> 2);
  }

  touchWords(lo: number, hi: number, write: boolean): number {
    return this.touch(hi * 2 ** 32 + (lo >>> 0), write);
  }

  private fill(va: number, page: number, index: number, write: boolean): number {
    const range = this.find(va);
    const need = write ? PROT_READ | PROT_WRITE : PROT_READ;
    if (range === undefined || (range.prot & need) !== need)
      throw new GuestSignal(`SIGSEGV at 0x${va.toString(16)}`);
    let slot = this.slots.get(page);
    if (slot === undefined) {
      slot = this.freeSlots.pop() ?? this.usedSlots++;
      if ((slot + 1) * PAGE_WORDS > this.words.length) throw new GuestSignal('out of memory');
      this.slots.set(page, slot);
    }
    // Only pages that may be written are cached: a cached page needs no further check.
    if ((range.prot & PROT_WRITE) !== 0) {
      this.tlbPage[index] = page;
      this.tlbSlot[index] = slot;
    }
    return slot;
  }

  load8(va: number): number {
    return this.bytes[this.touch(va, false) * 4 + (va & 3)] ?? 0;
  }
  store8(va: number, value: number): void {
    this.bytes[this.touch(va, true) * 4 + (va & 3)] = value;
  }
  load16(va: number): number {
    const at = this.touch(va, false) * 4 + (va & 3);
    return (this.bytes[at] ?? 0) | ((this.bytes[at + 1] ?? 0) << 8);
  }
  store16(va: number, value: number): void {
    const at = this.touch(va, true) * 4 + (va & 3);
    this.bytes[at] = value;
    this.bytes[at + 1] = value >>> 8;
  }
  load32(va: number): number {
    return this.words[this.touch(va, false)] ?? 0;
  }
  store32(va: number, value: number): void {
    this.words[this.touch(va, true)] = value;
  }
  load64(va: number): number {
    const at = this.touch(va, false);
    return (this.words[at + 1] ?? 0) * 2 ** 32 + ((this.words[at] ?? 0) >>> 0);
  }
  store64(va: number, value: number): void {
    const at = this.touch(va, true);
    this.words[at] = value;
    this.words[at + 1] = Math.floor(value / 2 ** 32);
  }
  zero(va: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes;) {
      const piece = Math.min(lengthBytes - done, PAGE - ((va + done) & 0xfff));
      const at = this.touch(va + done, true) * 4 + ((va + done) & 3);
      this.bytes.fill(0, at, at + piece);
      done += piece;
    }
  }
  copy(to: number, from: number, lengthBytes: number): void {
    const held = new Uint8Array(lengthBytes);
    for (let done = 0; done < lengthBytes;) {
      const piece = Math.min(lengthBytes - done, PAGE - ((from + done) & 0xfff));
      const at = this.touch(from + done, false) * 4 + ((from + done) & 3);
      held.set(this.bytes.subarray(at, at + piece), done);
      done += piece;
    }
    for (let done = 0; done < lengthBytes;) {
      const piece = Math.min(lengthBytes - done, PAGE - ((to + done) & 0xfff));
      const at = this.touch(to + done, true) * 4 + ((to + done) & 3);
      this.bytes.set(held.subarray(done, done + piece), at);
      done += piece;
    }
  }

  mmap(addr: number, lengthBytes: number, prot: number, flags: number): number {
    const result = this.place(addr, lengthBytes, prot, flags);
    const where = addr === 0 ? 'NULL' : hex(addr);
    const how = `MAP_PRIVATE${(flags & MAP_FIXED) !== 0 ? '|MAP_FIXED' : ''}|MAP_ANONYMOUS`;
    this.count(
      'mmap',
      `${where}, ${String(lengthBytes)}, ${protName(prot)}, ${how}, -1, 0`,
      result,
    );
    return result;
  }

  private place(addr: number, lengthBytes: number, prot: number, flags: number): number {
    if (lengthBytes <= 0) return -EINVAL;
    const length = Math.ceil(lengthBytes / PAGE) * PAGE;
    let start = addr - (addr % PAGE);
    if ((flags & MAP_FIXED) !== 0) this.unmap(start, length);
    else if ((flags & MAP_FIXED_NOREPLACE) !== 0) {
      if (!this.isFree(start, length)) return -EEXIST;
    } else if (addr === 0 || start + length > TASK_SIZE || !this.isFree(start, length)) {
      start = this.search(length);
    }
    if (start < 0) return -ENOMEM;
    this.insert({ start, end: start + length, prot });
    return start;
  }

  /** The highest free place for `length` bytes; whole huge pages are aligned to one. */
  private search(length: number): number {
    if (length % HUGE !== 0) return this.gap(length);
    const start = this.gap(length + HUGE);
    if (start < 0) return this.gap(length);
    const up = (HUGE - (start % HUGE)) % HUGE;
    return up === 0 ? start + HUGE : start + up;
  }

  private gap(length: number): number {
    let end = this.top;
    for (let i = this.ranges.length - 1; i >= 0; i--) {
      const range = this.ranges[i];
      if (range.start >= end) continue;
      if (range.end <= end && end - range.end >= length) break;
      end = Math.min(end, range.start);
    }
    return end - length >= 0x10000 ? end - length : -ENOMEM;
  }

  munmap(addr: number, lengthBytes: number): number {
    this.unmap(addr, Math.ceil(lengthBytes / PAGE) * PAGE);
    this.count('munmap', `${hex(addr)}, ${String(lengthBytes)}`, 0);
    return 0;
  }

  madvise(addr: number, lengthBytes: number, advice: number): number {
    const length = Math.ceil(lengthBytes / PAGE) * PAGE;
    if (advice === MADV_DONTNEED || advice === MADV_DONTNEED_LOCKED) this.discard(addr, length);
    const result = this.isMapped(addr, length) ? 0 : -ENOMEM;
    const name =
      { [MADV_DONTNEED]: 'MADV_DONTNEED', [MADV_HUGEPAGE]: 'MADV_HUGEPAGE' }[advice] ??
      (advice === MADV_NOHUGEPAGE ? 'MADV_NOHUGEPAGE' : String(advice));
    this.count('madvise', `${hex(addr)}, ${String(lengthBytes)}, ${name}`, result);
    return result;
  }

  mprotect(addr: number, lengthBytes: number, prot: number): number {
    const end = addr + Math.ceil(lengthBytes / PAGE) * PAGE;
    this.count('mprotect', `${hex(addr)}, ${String(lengthBytes)}, ${protName(prot)}`, 0);
    if (!this.isMapped(addr, end - addr)) return -ENOMEM;
    this.cut(addr, end);
    this.insert({ start: addr, end, prot });
    this.tlbPage.fill(-1);
    return 0;
  }

  mremap(addr: number, oldBytes: number, newBytes: number, flags: number): number {
    const result = this.remap(addr, oldBytes, newBytes, flags);
    this.count('mremap', `${hex(addr)}, ${String(oldBytes)}, ${String(newBytes)}`, result);
    return result;
  }

  private remap(addr: number, oldBytes: number, newBytes: number, flags: number): number {
    const from = Math.ceil(oldBytes / PAGE) * PAGE;
    const to = Math.ceil(newBytes / PAGE) * PAGE;
    if (to <= from) {
      if (to < from) this.unmap(addr + to, from - to);
      return addr;
    }
    const prot = this.find(addr)?.prot ?? PROT_NONE;
    if (this.isFree(addr + from, to - from)) {
      this.insert({ start: addr + from, end: addr + to, prot });
      return addr;
    }
    if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
    const moved = this.search(to);
    if (moved < 0) return moved;
    this.insert({ start: moved, end: moved + to, prot });
    for (let at = 0; at < from; at += PAGE) {
      const slot = this.slots.get((addr + at) / PAGE);
      if (slot === undefined) continue;
      this.slots.delete((addr + at) / PAGE);
      this.slots.set((moved + at) / PAGE, slot);
    }
    this.tlbPage.fill(-1);
    this.cut(addr, addr + from);
    return moved;
  }

  brk(addr: number): number {
    if (addr >= this.brkStart) {
      const was = Math.ceil(this.brkEnd / PAGE) * PAGE;
      const now = Math.ceil(addr / PAGE) * PAGE;
      if (now > was) this.insert({ start: was, end: now, prot: PROT_READ | PROT_WRITE });
      else if (now < was) this.unmap(now, was - now);
      this.brkEnd = addr;
    }
    this.count('brk', addr === 0 ? 'NULL' : hex(addr), this.brkEnd);
    return this.brkEnd;
  }

  get epoch(): number {
    return this.moved[0];
  }

  private count(name: string, args: string, result: number): void {
    this.moved[0]++;
    this.calls[name] = (this.calls[name] ?? 0) + 1;
    this.log?.push(`${name}(${args}) = ${result > 0 ? hex(result) : String(result)}`);
  }

  /** Index of the first range that ends after `va`. */
  private after(va: number): number {
    let lo = 0;
    let hi = this.ranges.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if ((this.ranges[mid]?.end ?? 0) > va) hi = mid;
      else lo = mid + 1;
    }
    return lo;
  }

  private find(va: number): Range | undefined {
    const range = this.ranges.at(this.after(va));
    return range !== undefined && range.start <= va ? range : undefined;
  }

  private isFree(start: number, length: number): boolean {
    const next = this.ranges.at(this.after(start));
    return next === undefined || next.start >= start + length;
  }

  private isMapped(start: number, length: number): boolean {
    let at = start;
    for (let i = this.after(start); at < start + length; i++) {
      const range = this.ranges.at(i);
      if (range === undefined || range.start > at) return false;
      at = range.end;
    }
    return true;
  }

  private insert(range: Range): void {
    const i = this.after(range.start);
    this.ranges.splice(i, 0, range);
    const next = this.ranges.at(i + 1);
    if (next?.start === range.end && next.prot === range.prot) {
      range.end = next.end;
      this.ranges.splice(i + 1, 1);
    }
    const previous = i > 0 ? this.ranges.at(i - 1) : undefined;
    if (previous?.end === range.start && previous.prot === range.prot) {
      previous.end = range.end;
      this.ranges.splice(i, 1);
    }
  }

  /** Takes [start, end) out of the list of ranges; the pages stay. */
  private cut(start: number, end: number): void {
    const kept: Range[] = [];
    for (const range of this.ranges) {
      if (range.end <= start || range.start >= end) kept.push(range);
      else {
        if (range.start < start) kept.push({ ...range, end: start });
        if (range.end > end) kept.push({ ...range, start: end });
      }
    }
    this.ranges = kept;
  }

  private unmap(start: number, length: number): void {
    this.discard(start, length);
    this.cut(start, start + length);
  }

  private discard(start: number, length: number): void {
    this.tlbPage.fill(-1);
    const first = start / PAGE;
    const pages = length / PAGE;
    const drop = (page: number, slot: number): void => {
      this.words.fill(0, slot * PAGE_WORDS, (slot + 1) * PAGE_WORDS);
      this.freeSlots.push(slot);
      this.slots.delete(page);
    };
    if (pages > this.slots.size) {
      for (const [page, slot] of this.slots)
        if (page >= first && page < first + pages) drop(page, slot);
      return;
    }
    for (let page = first; page < first + pages; page++) {
      const slot = this.slots.get(page);
      if (slot !== undefined) drop(page, slot);
    }
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function protName(prot: number): string {
  if (prot === PROT_NONE) return 'PROT_NONE';
  return (prot & PROT_WRITE) !== 0 ? 'PROT_READ|PROT_WRITE' : 'PROT_READ';
}
