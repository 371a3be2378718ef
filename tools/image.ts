// A machine's RAM for other tools: raw bytes from physical address 0, and every page that its page
// tables map, so that another x86 MMU can walk the same bytes and be compared.
//
// Frames that were never written are holes of the file: the image of 1 GiB takes the disk what the
// machine touched.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { hex } from '../kernel/index.ts';
import type { PhysMem } from '../kernel/physmem.ts';
import { _PAGE_PRESENT, _PAGE_PSE, ptePfn } from '../kernel/pte.ts';
import { PAGE_SIZE, PTRS_PER_TABLE } from '../kernel/types.ts';

/** What of a machine an image needs: RAM, and the processes that live. */
export interface ImageSource {
  readonly mem: PhysMem;
}

/** A mapped page: virtual address (signed), physical address, bytes: 4096, 2 MiB or 1 GiB. */
export type PresentPage = readonly [va: number, pa: number, size: number];

/** A process as `export --image` prints it. */
export interface ImageProcess {
  readonly id: number;
  readonly cr3: string;
  readonly present: readonly (readonly [string, string, number])[];
}

/** Writes RAM to a file, raw from physical address 0. */
export function writeRamImage(machine: ImageSource, path: string): void {
  const { mem } = machine;
  const file = openSync(path, 'w');
  try {
    ftruncateSync(file, mem.nrFrames * PAGE_SIZE);
    writeFrames(mem, file, 0, mem.nrFrames, 0);
  } finally {
    closeSync(file);
  }
}

/**
 * Writes the contents of frames [from, to) to an open file of zeros, those that were written to.
 * @param shift bytes from a physical address to its place in the file.
 */
export function writeFrames(
  mem: PhysMem,
  file: number,
  from: number,
  to: number,
  shift: number,
): void {
  for (let pfn = from; pfn < to;) {
    const slot = mem.slotOf[pfn] ?? 0;
    let run = 1;
    if (slot !== 0) {
      // Frames that lie together in the store as well go out in one write.
      while (run < 4096 && pfn + run < to && mem.slotOf[pfn + run] === slot + run) run++;
      const bytes = mem.bytes.subarray(slot * PAGE_SIZE, (slot + run) * PAGE_SIZE);
      writeWhole(file, bytes, pfn * PAGE_SIZE + shift);
    }
    pfn += run;
  }
}

function writeWhole(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }
}

/** Every present page below a PGD, user half first, in ascending order of table index. */
export function* presentPages(machine: ImageSource, root: number): Generator<PresentPage> {
  yield* pagesBelow(machine.mem, root, 4, 0);
}

function* pagesBelow(
  mem: PhysMem,
  table: number,
  level: number,
  base: number,
): Generator<PresentPage> {
  if (table >= mem.nrFrames) return;
  const size = PAGE_SIZE * PTRS_PER_TABLE ** (level - 1);
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const at = mem.readable(table) + i * 2;
    const lo = mem.words[at] ?? 0;
    if ((lo & _PAGE_PRESENT) === 0) continue;
    const pfn = ptePfn(lo, mem.words[at + 1] ?? 0);
    // Entries 256.. of the PGD are the upper half: negative addresses.
    const va = base + (level === 4 && i >= 256 ? i - PTRS_PER_TABLE : i) * size;
    if (level > 1 && (lo & _PAGE_PSE) === 0) yield* pagesBelow(mem, pfn, level - 1, va);
    else yield [va, Math.floor((pfn * PAGE_SIZE) / size) * size, size];
  }
}

/** A process for the list that goes with an image. */
export function imageProcess(machine: ImageSource, id: number, root: number): ImageProcess {
  const present: [string, string, number][] = [];
  for (const [va, pa, size] of presentPages(machine, root)) present.push([hex(va), hex(pa), size]);
  return { id, cr3: hex(root * PAGE_SIZE), present };
}
