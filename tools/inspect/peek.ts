// A process's memory, looked at from outside: reads that have no effect.
//
//     va -> four entries, read from RAM as they lie there -> word of RAM
//
// A Peek answers 0 for what is not present, and says so when asked. A PeekMemory is the same as the
// Memory of a runtime, for reading a heap with the runtime's own code: it throws NotPresent where
// the page is absent, and where it is asked to write.

import type { PhysMem } from '../../kernel/physmem.ts';
import { PAGE_SIZE, type Pfn } from '../../kernel/types.ts';
import { peekWalk } from '../../kernel/walker.ts';
import type { Memory } from '../../runtime/memory.ts';
import type { Mm } from '../../userspace/mm.ts';

const HI = 2 ** 32;

export class Peek {
  readonly mem: PhysMem;
  readonly root: Pfn;
  private page = NaN;
  private index = -1;

  constructor(mm: Mm) {
    this.mem = mm.system.machine.mem;
    this.root = mm.root;
  }

  /** Index in mem.words of the word of `va`; -1 where no page is present. */
  at(va: number): number {
    const page = va - (va & (PAGE_SIZE - 1));
    if (page !== this.page) {
      const physical = peekWalk(this.mem, this.root, page);
      this.page = page;
      this.index = physical < 0 ? -1 : this.mem.readable(Math.floor(physical / PAGE_SIZE));
    }
    return this.index < 0 ? -1 : this.index + ((va & (PAGE_SIZE - 1)) >>> 2);
  }

  /** The byte at `va`, or -1 where no page is present. */
  byte(va: number): number {
    const at = this.at(va);
    return at < 0 ? -1 : (this.mem.bytes[at * 4 + (va & 3)] ?? 0);
  }

  load8(va: number): number {
    return Math.max(0, this.byte(va));
  }
  load32(va: number): number {
    const at = this.at(va);
    return at < 0 ? 0 : (this.mem.words[at] ?? 0);
  }
  /** An address, or an integer below 2^53 in magnitude. */
  load64(va: number): number {
    const at = this.at(va);
    if (at < 0) return 0;
    return (this.mem.words[at + 1] ?? 0) * HI + ((this.mem.words[at] ?? 0) >>> 0);
  }
}

/** The page is not in memory: it was never touched, or it is swapped out. */
export class NotPresent extends Error {
  override readonly name = 'NotPresent';
}

function refuse(): never {
  throw new NotPresent('a look from outside changes nothing');
}

/** See the top. Its epoch is the runtime's own, so that nothing kept by epoch is thrown away. */
export class PeekMemory implements Memory {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly moved: Int32Array;
  readonly epoch: number;
  private readonly peek: Peek;

  constructor(mm: Mm, epoch: number) {
    this.peek = new Peek(mm);
    this.words = this.peek.mem.words;
    this.bytes = this.peek.mem.bytes;
    this.epoch = epoch;
    this.moved = Int32Array.of(epoch);
  }

  touch(va: number, write: boolean): number {
    if (write) refuse();
    const at = this.peek.at(va);
    if (at < 0) throw new NotPresent(`0x${va.toString(16)} is not in memory`);
    return at;
  }
  touchWords(lo: number, hi: number, write: boolean): number {
    return this.touch(hi * HI + (lo >>> 0), write);
  }
  load8(va: number): number {
    return this.bytes[this.touch(va, false) * 4 + (va & 3)] ?? 0;
  }
  load16(va: number): number {
    return this.load8(va) | (this.load8(va + 1) << 8);
  }
  load32(va: number): number {
    return this.words[this.touch(va, false)] ?? 0;
  }
  load64(va: number): number {
    const at = this.touch(va, false);
    return (this.words[at + 1] ?? 0) * HI + ((this.words[at] ?? 0) >>> 0);
  }
  store8 = refuse;
  store16 = refuse;
  store32 = refuse;
  store64 = refuse;
  zero = refuse;
  copy = refuse;
  mmap = refuse;
  munmap = refuse;
  madvise = refuse;
  mprotect = refuse;
  mremap = refuse;
  brk = refuse;
}
