// The chain down from an address: mapping -> four table levels -> frame -> struct page -> zone.
//
// Everything is read from the emulated machine as hardware and kernel hold it: the raw entries
// from RAM, the frame's record from mem_map. Nothing is touched: explaining takes no fault.

import { PAGE_OFFSET, START_KERNEL_MAP, VMEMMAP_START } from '../kernel/kaddr.ts';
import { PG_anon, PG_zero, STRUCT_PAGE_SIZE, type MemMap } from '../kernel/page.ts';
import { hex, NO_PFN, PAGE_SIZE, physOf } from '../kernel/types.ts';
import { VMALLOC_END, VMALLOC_START } from '../kernel/vmalloc.ts';
import type { Mm } from '../userspace/mm.ts';
import {
  VM_GROWSDOWN,
  VM_HUGEPAGE,
  VM_LOCKED,
  VM_NORESERVE,
  VM_RAND_READ,
  VM_SEQ_READ,
  permsOf,
  type Vma,
} from '../userspace/vma.ts';
import { vmaName } from '../userspace/proc.ts';
import {
  entryHex,
  LEVEL_NAMES,
  LEVEL_SIZE,
  pageInfo,
  walk,
  type PageInfo,
  type Walk,
  type WalkStep,
} from './inspect.ts';
import { ownerOf, type FrameOwner } from './owner.ts';

export interface Explanation {
  readonly va: number;
  readonly mapping: MappingInfo | undefined;
  readonly walk: Walk;
  readonly page: PageInfo | undefined;
  readonly owner: FrameOwner | undefined;
}

export interface MappingInfo {
  readonly start: number;
  readonly end: number;
  readonly perms: string;
  readonly name: string;
  readonly what: string;
  /** Page of the mapping, and of the file where one is behind it. */
  readonly page: number;
  readonly filePage: number | undefined;
  readonly notes: readonly string[];
}

/** Everything from an address of an address space down to its frame. */
export function explain(mm: Mm, va: number): Explanation {
  const { machine } = mm.system;
  const vma = mm.vmas.at(va);
  const found = walk(machine.mem, mm.root, va);
  const there = found.pfn !== NO_PFN;
  return {
    va,
    mapping: vma === undefined ? undefined : mappingInfo(vma, va),
    walk: found,
    page: there ? pageInfo(machine.pages, found.pfn) : undefined,
    owner: there ? ownerOf(mm.system, found.pfn, va & 0xfff) : undefined,
  };
}

function mappingInfo(vma: Vma, va: number): MappingInfo {
  const page = Math.floor((va - vma.start) / PAGE_SIZE);
  const notes: string[] = [];
  const note = (flag: number, text: string): void => {
    if ((vma.flags & flag) !== 0) notes.push(text);
  };
  note(VM_GROWSDOWN, 'grows down');
  note(VM_LOCKED, 'locked');
  note(VM_HUGEPAGE, 'huge pages wanted');
  note(VM_NORESERVE, 'not reserved');
  note(VM_RAND_READ, 'read at random');
  note(VM_SEQ_READ, 'read in sequence');
  const name = vmaName(vma);
  const shared = permsOf(vma.flags).endsWith('s') ? 'shared' : 'private';
  const what =
    vma.file !== null ? `${shared} file` : vma.special !== '' ? 'the kernel’s own' : 'anonymous';
  return {
    start: vma.start,
    end: vma.end,
    perms: permsOf(vma.flags),
    name,
    what,
    page,
    filePage: vma.file === null ? undefined : vma.pgoff + page,
    notes,
  };
}

/** The explanation as text, at most 80 columns wide. */
export function explanationText(e: Explanation, root: number): string[] {
  const lines: string[] = [];
  const add = (label: string, text: string): void => {
    lines.push(`  ${label.padEnd(11)} ${text}`.trimEnd());
  };
  const m = e.mapping;
  if (e.va < 0) add('mapping', kernelRegion(e.va));
  else if (m === undefined) add('mapping', 'none: an access is refused (SIGSEGV, SEGV_MAPERR)');
  else {
    const short = m.name.length > 38 ? `…${m.name.slice(-37)}` : m.name;
    add('mapping', `${hex(m.start)}-${hex(m.end)} ${m.perms} ${short}`);
    const kib = (m.end - m.start) / 1024;
    const file = m.filePage === undefined ? '' : `, page ${m.filePage} of the file`;
    add('', `${m.what}, ${kib} KiB; this is its page ${m.page}${file}`);
    if (m.notes.length > 0) add('', m.notes.join(', '));
  }
  add('CR3', `frame ${hex(root)}: the top table of this address space`);
  for (const step of e.walk.steps) lines.push(stepText(step, e.walk));
  if (e.page === undefined) {
    add('frame', m === undefined ? 'none' : 'none yet: the next access takes a page fault');
    return lines;
  }
  const physical = physOf(e.walk.pfn) + (e.va & 0xfff);
  add('frame', `${hex(e.walk.pfn)}, so the byte lies at physical address ${hex(physical)}`);
  const p = e.page;
  const flags = p.flags.length === 0 ? 'no flags' : p.flags.join(' ');
  add('struct page', flags);
  add('', `references ${p.refcount}, mapped ${p.mapcount} times`);
  if (e.owner !== undefined) {
    add('owner', e.owner.text);
    add('zone', e.owner.zone);
  }
  return lines;
}

/** What the kernel has at an address of its half, the same in every address space. */
export function kernelRegion(va: number): string {
  if (va >= START_KERNEL_MAP) return 'the kernel image; no program may touch it';
  if (va >= VMEMMAP_START) {
    const pfn = Math.floor((va - VMEMMAP_START) / STRUCT_PAGE_SIZE);
    return `vmemmap: struct page of frame ${hex(pfn)}`;
  }
  if (va >= VMALLOC_START && va < VMALLOC_END) return 'vmalloc area: kernel stacks and such';
  if (va >= PAGE_OFFSET) return `direct map of physical address ${hex(va - PAGE_OFFSET)}`;
  return 'not used by the kernel';
}

function stepText(step: WalkStep, walked: Walk): string {
  const name = `${LEVEL_NAMES[step.level] ?? ''}[${step.index}]`;
  const raw = entryHex(step.lo, step.hi);
  const last = step === walked.steps.at(-1);
  const what = step.present
    ? `${step.flags.join(' ')}${last ? ` (${sizeText(LEVEL_SIZE[step.level] ?? 0)})` : ''}`
    : step.lo === 0 && step.hi === 0
      ? 'not present: nothing here'
      : 'not present to the hardware';
  return `    ${name.padEnd(9)} ${raw}  ${what}`;
}

function sizeText(bytes: number): string {
  return bytes >= 2 ** 30 ? '1 GiB page' : bytes >= 2 ** 21 ? '2 MiB page' : '4 KiB page';
}

/** A good address to explain: a page that the process itself wrote, in the largest such mapping. */
export function telling(mm: Mm): number | undefined {
  const { mem, pages } = mm.system.machine;
  let best: { va: number; size: number } | undefined;
  for (const vma of mm.vmas) {
    if (vma.file !== null || vma.special !== '') continue;
    const size = vma.end - vma.start;
    if (best !== undefined && size <= best.size) continue;
    const va = firstWritten(mm, vma, pages, mem);
    if (va !== undefined) best = { va, size };
  }
  return best?.va;
}

function firstWritten(
  mm: Mm,
  vma: Vma,
  pages: MemMap,
  mem: Parameters<typeof walk>[0],
): number | undefined {
  for (let va = vma.start; va < vma.end;) {
    const found = walk(mem, mm.root, va);
    const flags = found.pfn === NO_PFN ? 0 : pages.flags(pages.head(found.pfn));
    if ((flags & PG_anon) !== 0 && (flags & PG_zero) === 0) return va;
    va = Math.floor(va / found.size) * found.size + found.size;
  }
  return undefined;
}
