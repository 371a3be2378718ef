// A machine as sixteen hexadecimal digits: two machines in the same state have the same.
//
// What goes in: the contents of every frame that was written to (all zeros counts as never
// written), every frame's record in mem_map, the counters, and of each process its identity, its
// counters and its mappings. Integer arithmetic alone, so Node and a browser agree.
// Source of the mixing: MurmurHash3's finalizer constants (public domain), over two lanes.

import { PAGE_WORDS } from '../../kernel/types.ts';
import type { System } from '../../userspace/system.ts';

class Mixer {
  private a = 0x2545f491 | 0;
  private b = 0x9e3779b9 | 0;

  word(w: number): void {
    this.a = Math.imul(this.a ^ w, 0x85ebca6b);
    this.a ^= this.a >>> 15;
    this.b = Math.imul(this.b + w, 0xc2b2ae35);
    this.b = (this.b << 13) | (this.b >>> 19);
  }

  /** A number that may be beyond 32 bits. */
  number(n: number): void {
    this.word(n | 0);
    this.word(Math.floor(n / 2 ** 32) | 0);
  }

  text(s: string): void {
    this.word(s.length);
    for (let i = 0; i < s.length; i++) this.word(s.charCodeAt(i));
  }

  digits(): string {
    const lane = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return lane(this.a ^ (this.b >>> 7)) + lane(this.b ^ (this.a << 9));
  }
}

/** The checksum of bytes, one part behind the other. */
export function checksum(parts: readonly Uint8Array[]): string {
  const mix = new Mixer();
  for (const bytes of parts) {
    mix.number(bytes.length);
    const whole = bytes.length & ~3;
    for (let i = 0; i < whole; i += 4) {
      mix.word(
        (bytes[i] ?? 0) |
          ((bytes[i + 1] ?? 0) << 8) |
          ((bytes[i + 2] ?? 0) << 16) |
          ((bytes[i + 3] ?? 0) << 24),
      );
    }
    for (let i = whole; i < bytes.length; i++) mix.word(bytes[i] ?? 0);
  }
  return mix.digits();
}

/** The hash of a whole machine. Costs a pass over its mem_map and over the RAM it touched. */
export function hashSystem(system: System): string {
  const mix = new Mixer();
  const { mem, pages, stat } = system.machine;
  const { words, slotOf } = mem;
  for (let pfn = 0; pfn < mem.nrFrames; pfn++) {
    const slot = slotOf[pfn] ?? 0;
    if (slot === 0) continue;
    const first = slot * PAGE_WORDS;
    let written = false;
    for (let i = first; i < first + PAGE_WORDS && !written; i++) written = words[i] !== 0;
    if (!written) continue;
    mix.word(pfn);
    for (let i = first; i < first + PAGE_WORDS; i++) mix.word(words[i] ?? 0);
  }
  const records = pages.words;
  for (let i = 0; i < records.length; i++) {
    const w = records[i] ?? 0;
    if (w !== 0) mix.word(w ^ Math.imul(i, 0x9e3779b1));
  }
  for (const [, value] of stat.entries()) mix.number(value);
  for (const task of system.tasks.values()) {
    mix.number(task.pid);
    mix.number(task.tgid);
    mix.text(task.comm);
    mix.number(task.minflt);
    mix.number(task.majflt);
    mix.number(task.mm.root);
    mix.number(task.mm.brk);
    for (const vma of task.mm.vmas) {
      mix.number(vma.start);
      mix.number(vma.end);
      mix.number(vma.flags);
    }
  }
  return mix.digits();
}
