// Proof that the processes' side of a machine is sound: counts, lists and page tables agree.
//
// For every frame that a page table or a page cache names: map count = entries that map it, refer-
// ences = those entries + its place in a cache (+ the swap cache's), no frame is both anonymous and
// cached, an exclusive page has one entry. For every address space: its resident counts, tables and
// sizes are what a walk of its mappings and tables finds; nothing is mapped outside a mapping.
// Source: what Linux's mm/debug.c and check_mm() (kernel/fork.c) look for, and more.

import { assert } from '../kernel/errors.ts';
import { PG_anon, PG_anon_exclusive, PG_reserved, PG_swapcache } from '../kernel/page.ts';
import {
  MAX_SWAPFILES,
  _PAGE_PSE,
  _PAGE_SPECIAL,
  ptePfnAny,
  ptePresent,
  swapType,
} from '../kernel/pte.ts';
import { HPAGE_PMD_NR, PAGE_SIZE, PMD_SIZE, TASK_SIZE, alignDown, hex } from '../kernel/types.ts';
import { NR_FILE_DIRTY } from '../kernel/stats.ts';
import type { Inode } from './file.ts';
import type { Mm } from './mm.ts';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS, rssName } from './rss.ts';
import type { System } from './system.ts';
import { rssKind } from './zap.ts';

/** What the walk of all page tables found of each frame. */
interface Found {
  /** Entries that map the page by itself, by frame. */
  readonly small: Map<number, number>;
  /** PMD entries that map the compound page as a whole, by head. */
  readonly huge: Map<number, number>;
}

/** Throws KernelBug with the first thing that is wrong; O(mapped and cached pages). */
export function fsckSystem(system: System): void {
  const found: Found = { small: new Map(), huge: new Map() };
  system.machine.smp.check();
  for (const mm of system.mms) {
    mm.check();
    checkSpace(mm, found);
  }
  const inodes = new Set<Inode>(system.files.values());
  for (const mm of system.mms) {
    for (const vma of mm.vmas) if (vma.file !== null) inodes.add(vma.file.inode);
  }
  let dirty = 0;
  for (const inode of inodes) {
    inode.cache.check(system.machine.pages, inode.id);
    if (inode.kind === 'disk') system.writeback.check(inode);
  }
  for (const inode of system.writeback.files.keys()) {
    for (const index of inode.dirty) {
      dirty += 1 << system.machine.pages.compoundOrder(inode.cache.get(index));
    }
  }
  const counted = system.machine.stat.node[NR_FILE_DIRTY];
  assert(dirty === counted, `dirty pages: ${counted} counted, ${dirty} found`);
  checkCounts(system, found, inodes);
}

function checkSpace(mm: Mm, found: Found): void {
  const { words } = mm.system.machine.mem;
  const rss = new Int32Array(4);
  let deposits = 0;
  for (let va = mm.pgt.nextPmd(0, TASK_SIZE); va < TASK_SIZE; va = mm.pgt.nextPmd(va, TASK_SIZE)) {
    const start = alignDown(va, PMD_SIZE);
    const pmd = mm.pgt.pmdAt(start);
    if (mm.pgt.isHuge(pmd)) {
      deposits++;
      assert(mm.vmas.at(start) !== undefined, `huge page at ${hex(start)} outside a mapping`);
      if ((words[pmd] & _PAGE_SPECIAL) === 0) {
        const head = ptePfnAny(words[pmd], words[pmd + 1]);
        found.huge.set(head, (found.huge.get(head) ?? 0) + 1);
        rss[MM_ANONPAGES] += HPAGE_PMD_NR;
      }
    } else checkTable(mm, mm.pgt.pteIn(pmd, start), start, rss, found);
    va = start + PMD_SIZE;
  }
  assert(deposits === mm.deposits.length, `mm ${mm.id}: ${deposits} huge entries, deposits differ`);
  for (const kind of [MM_FILEPAGES, MM_ANONPAGES, MM_SHMEMPAGES, MM_SWAPENTS]) {
    const counted = mm.rss[kind];
    assert(rss[kind] === counted, `mm ${mm.id}: ${rssName(kind)} ${counted}, found ${rss[kind]}`);
  }
}

function checkTable(mm: Mm, table: number, start: number, rss: Int32Array, found: Found): void {
  const { mem, pages } = mm.system.machine;
  for (let i = 0; i < 512; i++) {
    const lo = mem.words[table + 2 * i];
    const hi = mem.words[table + 2 * i + 1];
    if ((lo | hi) === 0) continue;
    const va = start + i * PAGE_SIZE;
    assert(mm.vmas.at(va) !== undefined, `mm ${mm.id}: entry at ${hex(va)} outside a mapping`);
    if (!ptePresent(lo)) {
      if (swapType(hi) < MAX_SWAPFILES) rss[MM_SWAPENTS]++;
      continue;
    }
    assert((lo & _PAGE_PSE) === 0, `mm ${mm.id}: PAT bit in the entry at ${hex(va)}`);
    if ((lo & _PAGE_SPECIAL) !== 0) continue;
    const pfn = ptePfnAny(lo, hi);
    rss[rssKind(pages.flags(pfn))]++;
    found.small.set(pfn, (found.small.get(pfn) ?? 0) + 1);
  }
}

function checkCounts(system: System, found: Found, inodes: ReadonlySet<Inode>): void {
  const { pages } = system.machine;
  const references = new Map<number, number>();
  const refer = (head: number, n: number): void => {
    references.set(head, (references.get(head) ?? 0) + n);
  };
  for (const [pfn, n] of found.small) {
    const counted = pages.mapcount(pfn);
    assert(counted === n, `frame ${pfn}: map count ${counted}, ${n} entries`);
    const exclusive = pages.hasFlags(pfn, PG_anon_exclusive);
    assert(!exclusive || n === 1, `frame ${pfn} is exclusive and has ${n} entries`);
    refer(pages.head(pfn), n);
  }
  for (const [head, n] of found.huge) {
    const counted = pages.entireMapcount(head);
    assert(counted === n, `huge page ${head}: map count ${counted}, ${n} entries`);
    refer(head, n);
  }
  for (const inode of inodes) {
    for (const index of inode.cache.indexes(0, Infinity)) {
      const pfn = inode.cache.get(index);
      assert(!pages.hasFlags(pfn, PG_anon), `frame ${pfn} is cached and anonymous`);
      refer(pages.head(pfn), 1);
    }
  }
  for (const [head, n] of references) {
    if (pages.hasFlags(head, PG_reserved)) continue;
    const expected = n + (pages.hasFlags(head, PG_swapcache) ? 1 : 0);
    const counted = pages.refcount(head);
    assert(counted === expected, `frame ${head}: ${counted} references, expected ${expected}`);
  }
}
