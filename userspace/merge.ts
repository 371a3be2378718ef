// Splitting mappings and merging neighbours that are alike, families (anon_vma) included.
//
//     new range:       prev | new | next     ->  prev grows, next grows down, or all become one
//     changed range:   prev | middle | next  ->  the middle, or a part of it, goes to a neighbour
//
// Two mappings are alike when flags, file and page offsets fit, and their families do:
//   neither has one                                      yes
//   the growing one has none, the other does             yes, unless the other came from a fork
//   the growing one has one, the other none              yes, unless the growing one came from one
//   both have                                            only if it is the same
// "Came from a fork" is: has a family, and more than one in its chain.
// Source: Linux 6.18 mm/vma.c: vma_merge_new_range(), vma_merge_existing_range(), __split_vma(),
// vma_modify(), is_mergeable_anon_vma().

import { PAGE_SIZE } from '../kernel/types.ts';
import { ENOMEM, SysError } from '../kernel/errors.ts';
import { anonVmaClone, unlinkAnonVmas, type AnonVma } from './anon.ts';
import type { File } from './file.ts';
import type { Mm } from './mm.ts';
import type { Userfaultfd } from './userfaultfd.ts';
import { releaseFile } from './inode-refs.ts';
import { VM_SPECIAL, VM_STICKY, Vma } from './vma.ts';
import { splitHugeAt } from './huge.ts';

/** What would be merged: a range with its attributes. */
export interface MergeRange {
  readonly mm: Mm;
  start: number;
  end: number;
  readonly pgoff: number;
  readonly flags: number;
  readonly file: File | null;
  /** Who is told of its faults; absent for nobody. */
  readonly uffd?: Userfaultfd | null;
  /** The family that comes with the range (a moved or a changed mapping's); null for new memory. */
  readonly anonVma: AnonVma | null;
  /** The mapping whose range or copy this is, to ask whether it came from a fork. */
  readonly source: Vma | null;
}

/**
 * Tries to make a new range part of its neighbours. The range is free.
 * @param expandOnly only the mapping below may take it (brk).
 * @returns the mapping that now contains it; null where neighbours are not alike.
 */
export function mergeNewRange(range: MergeRange, expandOnly = false): Vma | null {
  if ((range.flags & VM_SPECIAL) !== 0) return null;
  const { mm } = range;
  const prev = mm.vmas.before(range.start);
  const next = mm.vmas.find(range.start);
  const left = prev?.end === range.start && fitsAfter(prev, range);
  let right = !expandOnly && next?.start === range.end && fitsBefore(next, range);
  if (left && right) right = sameFamily(prev, next!);
  if (left) {
    dupAnon(prev, range.source);
    prev.flags |= range.flags & VM_STICKY;
    if (right) absorbNext(prev, next!);
    else mm.vmas.resize(prev, prev.start, range.end);
    return prev;
  }
  if (!right) return null;
  dupAnon(next!, range.source);
  next!.flags |= range.flags & VM_STICKY;
  next!.pgoff -= (range.end - range.start) / PAGE_SIZE;
  mm.vmas.resize(next!, range.start, next!.end);
  return next!;
}

/**
 * Gives [start, end) of a mapping new flags: merges the part with neighbours that are alike
 * afterwards, or splits it off (vma_modify()).
 * @param uffd who is told of its faults from now on.
 * @returns the mapping that holds [start, end) now; its flags are `flags`.
 */
export function modifyVma(
  vma: Vma,
  start: number,
  end: number,
  flags: number,
  uffd = vma.uffd,
): Vma {
  const merged = mergeExisting(vma, start, end, flags, uffd);
  if (merged !== null) return merged;
  if (vma.start < start) splitVma(vma, start, true);
  if (vma.end > end) splitVma(vma, end, false);
  vma.flags = flags;
  vma.uffd = uffd;
  return vma;
}

/**
 * Splits a mapping in two at addr.
 * @param newBelow the new mapping is the lower part; else it is the upper.
 * @returns the new mapping.
 */
export function splitVma(vma: Vma, addr: number, newBelow: boolean): Vma {
  const { mm } = vma;
  if (mm.vmas.size >= mm.system.sysctl.maxMapCount) throw new SysError(ENOMEM);
  splitHugeAt(mm, vma, addr);
  const below = (addr - vma.start) / PAGE_SIZE;
  const made = new Vma(
    mm,
    newBelow ? vma.start : addr,
    newBelow ? addr : vma.end,
    vma.flags,
    newBelow ? vma.pgoff : vma.pgoff + below,
    vma.file,
    vma.special,
  );
  made.anonVma = vma.anonVma;
  made.swapRa = vma.swapRa;
  made.uffd = vma.uffd;
  anonVmaClone(made, vma);
  if (newBelow) {
    mm.vmas.resize(vma, addr, vma.end);
    vma.pgoff += below;
  } else mm.vmas.resize(vma, vma.start, addr);
  insertVma(made);
  return made;
}

/** Puts a mapping into its address space and its file's list. */
export function insertVma(vma: Vma): void {
  const { objects } = vma.mm.system;
  vma.object = objects.take(objects.vma);
  vma.mm.vmas.insert(vma);
  if (vma.file !== null) {
    vma.file.users++;
    vma.file.inode.mappings.push(vma);
  }
}

/** Takes a mapping out of its address space, file and families; its pages are gone already. */
export function removeVma(vma: Vma): void {
  vma.mm.vmas.remove(vma);
  dropVma(vma);
}

function dropVma(vma: Vma): void {
  const { system } = vma.mm;
  unlinkAnonVmas(vma, system.rmap.owners);
  if (vma.file !== null) {
    const list = vma.file.inode.mappings;
    list.splice(list.indexOf(vma), 1);
    releaseFile(system, vma.file);
  }
  system.objects.give(system.objects.vma, vma.object);
}

function mergeExisting(
  middle: Vma,
  start: number,
  end: number,
  flags: number,
  uffd: Userfaultfd | null,
): Vma | null {
  if (((flags | middle.flags) & VM_SPECIAL) !== 0) return null;
  const { mm } = middle;
  const leftSide = start === middle.start;
  const rightSide = end === middle.end;
  if (!leftSide && !rightSide) return null;
  const range: MergeRange = {
    mm,
    start,
    end,
    pgoff: middle.indexOf(start),
    flags,
    file: middle.file,
    uffd,
    anonVma: middle.anonVma,
    source: middle,
  };
  const prev = leftSide ? mm.vmas.prev(middle) : undefined;
  const next = rightSide ? mm.vmas.next(middle) : undefined;
  const left = prev?.end === start && prev.special === middle.special && fitsAfter(prev, range);
  let right = next?.start === end && next.special === middle.special && fitsBefore(next, range);
  if (left && right) right = sameFamily(prev, next!);
  let merged: Vma | null = null;
  if (left && right) merged = mergeAll(prev, middle, next!);
  else if (left) merged = mergeLeft(prev, middle, end);
  else if (right) merged = mergeRight(middle, next!, start);
  if (merged !== null) merged.flags |= flags & VM_STICKY;
  return merged;
}

/** prev | middle | next become prev. */
function mergeAll(prev: Vma, middle: Vma, next: Vma): Vma {
  const end = next.end;
  dupAnon(prev, middle.anonVma !== null ? middle : next);
  prev.flags |= next.flags & VM_STICKY;
  removeVma(middle);
  removeVma(next);
  prev.mm.vmas.resize(prev, prev.start, end);
  return prev;
}

/** prev takes [prev.end, end) of the middle, or all of it. */
function mergeLeft(prev: Vma, middle: Vma, end: number): Vma {
  dupAnon(prev, middle);
  const { vmas } = prev.mm;
  if (end === middle.end) removeVma(middle);
  else {
    splitHugeAt(prev.mm, middle, end);
    middle.pgoff += (end - middle.start) / PAGE_SIZE;
    vmas.resize(middle, end, middle.end);
  }
  vmas.resize(prev, prev.start, end);
  return prev;
}

/** next takes [start, next.start) of the middle, or all of it. */
function mergeRight(middle: Vma, next: Vma, start: number): Vma {
  dupAnon(next, middle);
  const { vmas } = next.mm;
  next.pgoff -= (next.start - start) / PAGE_SIZE;
  if (start === middle.start) removeVma(middle);
  else {
    splitHugeAt(next.mm, middle, start);
    vmas.resize(middle, middle.start, start);
  }
  vmas.resize(next, start, next.end);
  return next;
}

/** prev grows over the gap above it and over next, which ends. */
function absorbNext(prev: Vma, next: Vma): void {
  const end = next.end;
  dupAnon(prev, next);
  prev.flags |= next.flags & VM_STICKY;
  removeVma(next);
  prev.mm.vmas.resize(prev, prev.start, end);
}

/** A growing mapping without family takes over the family of what it absorbs (dup_anon_vma()). */
function dupAnon(to: Vma, from: Vma | null): void {
  if (to.anonVma !== null) return;
  const family = from?.anonVma ?? null;
  if (from === null || family === null) return;
  to.anonVma = family;
  anonVmaClone(to, from);
}

function alike(vma: Vma, range: MergeRange): boolean {
  if (vma.uffd !== (range.uffd ?? null)) return false;
  return ((vma.flags ^ range.flags) & ~VM_STICKY) === 0 && vma.file === range.file;
}

function fitsAfter(prev: Vma, range: MergeRange): boolean {
  return alike(prev, range) && familyFits(prev, range) && prev.pgoff + prev.pages === range.pgoff;
}

function fitsBefore(next: Vma, range: MergeRange): boolean {
  const pages = (range.end - range.start) / PAGE_SIZE;
  return alike(next, range) && familyFits(next, range) && next.pgoff === range.pgoff + pages;
}

function familyFits(target: Vma, range: MergeRange): boolean {
  if (target.anonVma === null) return range.anonVma === null || !cameFromFork(range.source);
  if (range.anonVma === null) return !cameFromFork(target);
  return target.anonVma === range.anonVma;
}

function sameFamily(a: Vma, b: Vma): boolean {
  return a.anonVma === null || b.anonVma === null || a.anonVma === b.anonVma;
}

function cameFromFork(vma: Vma | null): boolean {
  return vma !== null && vma.anonVma !== null && vma.anonVmaChain.length > 1;
}
