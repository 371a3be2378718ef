// The data and bss sections of libpython: where the interpreter's static variables lie.
//
//     base  +------------------+
//           | usedpools        |  each variable is given out once, in order of request,
//           | nfp2lasta        |  and keeps its place
//           | arena_map_root   |
//           | types, singletons|
//     next  +------------------+
//           | untouched        |  zero pages that cost nothing before their first use
//     end   +------------------+
//
// The whole is one private writable mapping, as the loader makes it. Source: the layout of an ELF
// shared object; the order within is our own. Not modelled: the text and the read-only sections.

import { assert } from '../../kernel/errors.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../userspace/mman.ts';
import type { Memory } from '../memory.ts';

export class StaticData {
  readonly base: number;
  readonly end: number;
  private next: number;

  /** Maps `lengthBytes` of zeros, a multiple of 4096. */
  constructor(mem: Memory, lengthBytes: number) {
    const prot = PROT_READ | PROT_WRITE;
    this.base = mem.mmap(0, lengthBytes, prot, MAP_PRIVATE | MAP_ANONYMOUS);
    assert(this.base > 0, 'StaticData: the process has room for its data section');
    this.end = this.base + lengthBytes;
    this.next = this.base;
  }

  /** A variable of `bytes`, aligned to `align` (a power of two), all zeros. */
  variable(bytes: number, align = 8): number {
    const at = Math.ceil(this.next / align) * align;
    assert(at + bytes <= this.end, 'StaticData: the section holds all variables');
    this.next = at + bytes;
    return at;
  }
}
