// A process after exec and the first steps of its program: what of its files is resident, and which
// pages of its own it has written, before the runtime's allocator is asked for anything.
//
//   segment   | read: mapped from the page cache, 16 pages around each fault | not touched |
//             | written: a private copy of the first pages                   |
//
// The figures are those of a program that does nothing, as /proc/PID/smaps showed them at its end,
// with addresses not randomised: Go 1.26.11 (static) and CPython 3.11.7 (shared libpython) on Linux
// 6.18. How the pages come in (faults around, copies, zeroes) is the kernel's mechanism. Not
// modelled: in which order the start touches them, and that larger programs touch more of the text.

import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { NO_PFN, PAGE_SIZE } from '../../kernel/types.ts';
import { access } from '../../userspace/access.ts';
import { addPage } from '../../userspace/add-page.ts';
import { PIE_BASE } from '../../userspace/aslr.ts';
import type { File } from '../../userspace/file.ts';
import { openFile } from '../../userspace/inode-refs.ts';
import { MMAP_BASE, type Mm } from '../../userspace/mm.ts';
import { mmapRegion } from '../../userspace/mmap.ts';
import type { Task } from '../../userspace/process.ts';
import * as vm from '../../userspace/vma.ts';

const MAY = vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC;
const AROUND = 16;

export interface Segment {
  /** Path of the file; '' for zeroes (bss). */
  readonly path: string;
  readonly at: number;
  readonly pages: number;
  /** Page of the file where it begins. */
  readonly offset: number;
  readonly access: 'r--' | 'r-x' | 'rw-';
  /** Pages that are resident as they are in the file; of bss, those that are read: zeroes, until
   * they are written. */
  readonly read: number;
  /** Pages that the process has written. */
  readonly written: number;
}

export interface Image {
  readonly segments: readonly Segment[];
  /** Pages of the stack that are in use, from its end. */
  readonly stackPages: number;
  /** Where the heap of brk(2) begins. */
  readonly brk: number;
}

const MODE = { 'r--': vm.VM_READ, 'r-x': vm.VM_READ | vm.VM_EXEC, 'rw-': vm.VM_READ | vm.VM_WRITE };
const GO = '/usr/local/bin/program';

/** A static Go program: text, read-only data, data, bss. */
export const goImage: Image = {
  brk: 0x5bb000,
  stackPages: 3,
  segments: [
    { path: GO, at: 0x400000, pages: 159, offset: 0, access: 'r-x', read: 159, written: 0 },
    { path: GO, at: 0x49f000, pages: 219, offset: 159, access: 'r--', read: 191, written: 0 },
    { path: GO, at: 0x57a000, pages: 11, offset: 378, access: 'rw-', read: 10, written: 4 },
    { path: '', at: 0x585000, pages: 54, offset: 0, access: 'rw-', read: 24, written: 17 },
  ],
};

const PYTHON_BASE = PIE_BASE;
const LIBS = 0x7ffff7000000;
const LIBPYTHON = '/usr/lib/libpython3.11.so.1.0';

/** CPython: a small program, libpython, and the other libraries and files taken together. */
export const pythonImage: Image = {
  brk: 0x55555555a000,
  stackPages: 14,
  segments: [
    {
      path: '/bin/python3',
      at: PYTHON_BASE,
      pages: 5,
      offset: 0,
      access: 'r-x',
      read: 2,
      written: 0,
    },
    {
      path: '/bin/python3',
      at: PYTHON_BASE + 0x5000,
      pages: 1,
      offset: 4,
      access: 'rw-',
      read: 0,
      written: 1,
    },
    { path: LIBPYTHON, at: LIBS, pages: 1070, offset: 0, access: 'r-x', read: 930, written: 0 },
    {
      path: LIBPYTHON,
      at: LIBS + 1070 * PAGE_SIZE,
      pages: 330,
      offset: 1070,
      access: 'rw-',
      read: 0,
      written: 329,
    },
    {
      path: '/usr/lib/libraries',
      at: LIBS + 0x600000,
      pages: 746,
      offset: 0,
      access: 'r-x',
      read: 505,
      written: 0,
    },
    {
      path: '/usr/lib/libraries',
      at: LIBS + 0x900000,
      pages: 24,
      offset: 746,
      access: 'rw-',
      read: 0,
      written: 12,
    },
    {
      path: '/usr/lib/locale',
      at: LIBS + 0x980000,
      pages: 94,
      offset: 0,
      access: 'r--',
      read: 39,
      written: 0,
    },
  ],
};

/** The same without `site`: less of the libraries is read. */
export const barePythonImage: Image = {
  ...pythonImage,
  segments: pythonImage.segments.map((s) =>
    s.path === '/usr/lib/libraries' && s.read > 0 ? { ...s, read: 455 } : s,
  ),
};

/** Maps an image and touches what a program's start does. `held` pages of data are left out, from
 * the largest part: the runtime's own variables take their place. */
export function loadImage(task: Task, image: Image, held = 0): void {
  const { mm } = task;
  const segments = image.segments.map((s) => ({ ...s, at: placeOf(mm, s.at) }));
  for (const s of segments) {
    const end = s.at + s.pages * PAGE_SIZE;
    const file = s.path === '' ? null : fileOf(task, s);
    const flags = MODE[s.access] | MAY;
    mmapRegion(mm, file, s.at, end, flags, file === null ? s.at / PAGE_SIZE : s.offset);
  }
  const most = Math.max(...segments.map((s) => s.written));
  for (const s of segments) {
    for (let page = 0; page < s.read; page++) readAround(task, s, page);
    const written = s.written - (s.written === most ? held : 0);
    for (let page = 0; page < written; page++)
      access(task, s.at + page * PAGE_SIZE, PF_USER | PF_WRITE);
  }
  const top = Math.floor(mm.startStack / PAGE_SIZE) * PAGE_SIZE;
  for (let page = 0; page < image.stackPages; page++)
    access(task, top - page * PAGE_SIZE, PF_USER | PF_WRITE);
  for (const vma of mm.vmas) if (vma.special === '[vdso]') touchAll(task, vma.start, vma.end);
}

/** Where an address of an image lies in this process: libraries move with mmap_base, a program that
 * is position-independent by its own random part. */
function placeOf(mm: Mm, at: number): number {
  if (at >= LIBS) return at - MMAP_BASE + mm.mmapBase;
  return at >= PYTHON_BASE ? at + mm.loadBias : at;
}

function touchAll(task: Task, start: number, end: number): void {
  for (let at = start; at < end; at += PAGE_SIZE) access(task, at, PF_USER);
}

/** Reads one page in each window of pages that a fault maps, as far as windows are full. */
function readAround(task: Task, s: Segment, page: number): void {
  const isWindow = (s.offset + page) % AROUND === 0 || page === 0 || s.path === '';
  if (isWindow) access(task, s.at + page * PAGE_SIZE, PF_USER);
}

/** The file, all of it in the page cache. */
function fileOf(task: Task, s: Segment): File {
  const { system } = task.mm;
  const inode = system.createFile(s.path, (s.offset + s.pages) * PAGE_SIZE);
  inode.size = Math.max(inode.size, (s.offset + s.pages) * PAGE_SIZE);
  for (let page = s.offset; page < s.offset + s.pages; page++)
    if (inode.cache.get(page) === NO_PFN) addPage(system, inode, page, true);
  return openFile(system, inode, true, false);
}
