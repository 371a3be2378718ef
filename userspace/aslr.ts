// Where exec puts what, with addresses randomised or not (randomize_va_space 2 or 0).
//
//     part         lowest or highest place             random            never more than
//     stack        down from 0x7ffffffff000            22 bits of pages  16 GiB below
//     mmap_base    stack limit + gaps below that       28 bits of pages  1 TiB below
//     PIE image    0x555555554000                      28 bits of pages  1 TiB above
//     heap (brk)   end of the image                    18 bits of pages  1 GiB above
//     stack start  16 bytes below the top              multiple of 16    8 KiB below
//
// The gap above mmap_base holds the stack limit, the stack's random part and its guard gap, and is
// 128 MiB at least, five sixths of the address space at most. vvar and vdso are placed like any
// mapping, below mmap_base. Where nothing is random the same rules give the well-known addresses.
// Invariant: the parts never overlap, whatever is drawn.
// Source: Linux 6.18 arch/x86/mm/mmap.c: mmap_base(), arch_mmap_rnd(), stack_maxrandom_size();
// arch/x86/kernel/process.c: arch_randomize_brk(), arch_align_stack(); fs/exec.c, fs/binfmt_elf.c.

import { below, type Prng } from '../kernel/prng.ts';
import { PAGE_SIZE, TASK_SIZE, pageUp } from '../kernel/types.ts';
import { STACK_GUARD_GAP } from './vma.ts';

/** Random bits of mmap_base and of a PIE image (vm.mmap_rnd_bits). */
export const MMAP_RND_BITS = 28;
/** Pages that the stack's top may lie lower (STACK_RND_MASK). */
export const STACK_RND_MASK = 0x3fffff;
/** Bytes by which the heap may begin later, on 64 bits. */
export const BRK_RANGE = 2 ** 30;
/** Where a position-independent program goes: two thirds of the address space (ELF_ET_DYN_BASE). */
export const PIE_BASE = 0x555555554000;

const GAP_MIN = 128 << 20;
const GAP_MAX = Math.floor(TASK_SIZE / 6) * 5;

export interface Layout {
  /** End of the stack's mapping. */
  readonly stackTop: number;
  /** Where the stack pointer starts. */
  readonly startStack: number;
  readonly mmapBase: number;
  /** What a position-independent program's addresses are moved by, from PIE_BASE. */
  readonly loadBias: number;
  /** What the heap begins later than the image ends. */
  readonly brkGap: number;
}

/**
 * Draws a layout.
 * @param random null for none: every program then has the same addresses.
 * @param stackLimit RLIMIT_STACK in bytes; Infinity for none.
 */
export function layoutOf(random: Prng | null, stackLimit: number): Layout {
  const pages = (n: number): number => (random === null ? 0 : below(random, n) * PAGE_SIZE);
  const mmapRandom = pages(2 ** MMAP_RND_BITS);
  const stackTop = TASK_SIZE - pages(STACK_RND_MASK + 1);
  const loadBias = pages(2 ** MMAP_RND_BITS);
  const brkGap = pages(BRK_RANGE / PAGE_SIZE);
  const drop = random === null ? 0 : below(random, 8192);
  const pad = (random === null ? 0 : STACK_RND_MASK * PAGE_SIZE) + STACK_GUARD_GAP;
  const gap = Math.min(Math.max(stackLimit + pad, GAP_MIN), GAP_MAX);
  return {
    stackTop,
    startStack: Math.floor((stackTop - 16 - drop) / 16) * 16,
    mmapBase: pageUp(TASK_SIZE - gap - mmapRandom),
    loadBias,
    brkGap,
  };
}
