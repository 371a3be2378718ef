// RAM as an ELF core of a Linux kernel, like /proc/vmcore and makedumpfile -E: drgn opens it.
//
//     ELF header, program headers
//     PT_NOTE   VMCOREINFO: page size, where the kernel's top page table lies, no KASLR
//     PT_LOAD   a range of RAM: physical address, and its address in the direct map
//     PT_LOAD   the kernel image once more, at the address it runs at; and its top page table
//
// A reader finds physical addresses through p_paddr. Virtual ones it translates itself, by walking
// the page tables that lie in the core, from swapper_pg_dir or from a process's own.
// Frames that were never written are holes of the file: a core takes the disk what was touched.
// Source: Linux 6.18 kernel/vmcore_info.c, fs/proc/vmcore.c; System V ABI, "Program Header".
// Not there: debug information, so a reader knows addresses but no types.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { assert } from '../kernel/errors.ts';
import { directMap, START_KERNEL_MAP } from '../kernel/kaddr.ts';
import type { Machine } from '../kernel/machine.ts';
import { alignUp, PAGE_SIZE, type Pfn } from '../kernel/types.ts';
import { writeFrames } from './image.ts';

const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
const ET_CORE = 4;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PF_RWX = 7;

/** A PT_LOAD: bytes of RAM at `pa`, seen at `va`. */
interface Segment {
  readonly va: number;
  readonly pa: number;
  readonly bytes: number;
  /** Where they lie in the file. */
  readonly offset: number;
}

/** The release that the core says it is of: the kernel that the emulator's behaviour is. */
const OSRELEASE = '6.18.0-pagewalk';

/** Text of the VMCOREINFO note (`man 5 makedumpfile.conf` tells some of its words). */
export function vmcoreinfo(machine: Machine): string {
  return [
    `OSRELEASE=${OSRELEASE}`,
    `PAGESIZE=${PAGE_SIZE}`,
    `SYMBOL(swapper_pg_dir)=${swapperPgDir(machine.kernelRoot).toString(16)}`,
    'NUMBER(phys_base)=0',
    'NUMBER(pgtable_l5_enabled)=0',
    'NUMBER(MAX_PHYSMEM_BITS)=46',
    'NUMBER(SECTION_SIZE_BITS)=27',
    'KERNELOFFSET=0',
    '',
  ].join('\n');
}

/**
 * The address of the kernel's top table as readers take it: in the mapping of the image, from which
 * they subtract __START_KERNEL_map to have the physical one. Wraps as 64 bits do.
 */
function swapperPgDir(root: Pfn): bigint {
  return BigInt.asUintN(64, BigInt(START_KERNEL_MAP) + BigInt(root * PAGE_SIZE));
}

/**
 * Writes the core.
 * @returns its PT_LOADs: what of RAM a reader finds in it.
 * @throws an Error of node:fs where the file cannot be written.
 */
export function writeVmcore(machine: Machine, path: string): readonly Segment[] {
  const note = noteOf('VMCOREINFO', vmcoreinfo(machine));
  const { memory, reserved } = machine.booted.memblock;
  const again = reserved.filter((area) => area.name === 'kernel');
  again.push({
    startPfn: machine.kernelRoot,
    endPfn: machine.kernelRoot + 1,
    name: 'swapper_pg_dir',
  });
  const headers = ELF_HEADER + PROGRAM_HEADER * (1 + memory.length + again.length);
  const segments: Segment[] = [];
  let size = alignUp(headers + note.length, PAGE_SIZE);
  for (const { startPfn, endPfn } of memory) {
    const bytes = (endPfn - startPfn) * PAGE_SIZE;
    segments.push({ va: directMap(startPfn), pa: startPfn * PAGE_SIZE, bytes, offset: size });
    size += bytes;
  }
  for (const { startPfn, endPfn } of again) {
    const pa = startPfn * PAGE_SIZE;
    const around = segments.find((s) => pa >= s.pa && pa < s.pa + s.bytes);
    assert(around !== undefined, 'what the kernel reserved at boot is RAM');
    const bytes = (endPfn - startPfn) * PAGE_SIZE;
    segments.push({ va: START_KERNEL_MAP + pa, pa, bytes, offset: around.offset + pa - around.pa });
  }
  const file = openSync(path, 'w');
  try {
    ftruncateSync(file, size);
    const first = Buffer.concat([
      elfHeader(1 + segments.length),
      ...headersOf(segments, note),
      note,
    ]);
    writeSync(file, first, 0, first.length, 0);
    memory.forEach(({ startPfn, endPfn }, i) => {
      const { pa, offset: from } = segments[i]!;
      writeFrames(machine.mem, file, startPfn, endPfn, from - pa);
    });
  } finally {
    closeSync(file);
  }
  return segments;
}

function elfHeader(programHeaders: number): Buffer {
  const h = Buffer.alloc(ELF_HEADER);
  h.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64-bit, little-endian, version 1
  h.writeUInt16LE(ET_CORE, 16);
  h.writeUInt16LE(EM_X86_64, 18);
  h.writeUInt32LE(1, 20);
  h.writeUInt32LE(ELF_HEADER, 32); // e_phoff
  h.writeUInt16LE(ELF_HEADER, 52);
  h.writeUInt16LE(PROGRAM_HEADER, 54);
  h.writeUInt16LE(programHeaders, 56);
  return h;
}

/** The PT_NOTE's header, whose bytes follow the headers, and those of the segments. */
function headersOf(segments: readonly Segment[], note: Buffer): Buffer[] {
  const noteAt = ELF_HEADER + PROGRAM_HEADER * (1 + segments.length);
  const none = { va: 0, pa: 0, bytes: note.length, offset: noteAt };
  return [programHeader(PT_NOTE, none, 4), ...segments.map((s) => programHeader(PT_LOAD, s, 4096))];
}

function programHeader(type: number, s: Segment, align: number): Buffer {
  const h = Buffer.alloc(PROGRAM_HEADER);
  const word64 = (value: number, at: number): void => {
    h.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at);
  };
  h.writeUInt32LE(type, 0);
  h.writeUInt32LE(type === PT_LOAD ? PF_RWX : 0, 4);
  word64(s.offset, 8);
  word64(s.va, 16);
  word64(s.pa, 24);
  word64(s.bytes, 32);
  word64(s.bytes, 40);
  word64(align, 48);
  return h;
}

/** An ELF note of type 0: sizes, name and text, each padded to four bytes. */
function noteOf(name: string, text: string): Buffer {
  const nameBytes = Buffer.from(`${name}\0`);
  const textBytes = Buffer.from(text);
  const textAt = 12 + alignUp(nameBytes.length, 4);
  const note = Buffer.alloc(textAt + alignUp(textBytes.length, 4));
  note.writeUInt32LE(nameBytes.length, 0);
  note.writeUInt32LE(textBytes.length, 4);
  nameBytes.copy(note, 12);
  textBytes.copy(note, textAt);
  return note;
}
