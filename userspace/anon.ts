// Anonymous families: from an anonymous frame to the mappings that may hold it.
//
// The first write to a mapping gives it an AnonVma; its pages name that family as owner. fork()
// gives the child's mapping a family of its own, below the parent's, and links the child's mapping
// into all the parent's families too, because it may map their pages:
//
//     parent vma ---- A            pages written by the parent: owner A, mapped in both
//        | fork      / \
//     child vma ----+   B          pages the child writes: owner B, looked for in the child alone
//
// Invariants (check()): a mapping is in `vmas` of each family of its chain, and only there;
// numActiveVmas counts the mappings whose own family this is; numChildren the families below it,
// a root counting itself.
// Source: Linux 6.18 mm/rmap.c: __anon_vma_prepare(), anon_vma_clone(), anon_vma_fork(),
// unlink_anon_vmas().

import { assert } from '../kernel/errors.ts';
import type { AddressSpace, PageOwner } from '../kernel/ports.ts';
import type { OwnerTable } from '../kernel/rmap.ts';
import { PAGE_SIZE, type PhysAddr, type VirtAddr } from '../kernel/types.ts';
import { VM_ACCESS_FLAGS, VM_STICKY, type Vma } from './vma.ts';

export class AnonVma implements PageOwner {
  readonly id: number;
  readonly parent: AnonVma;
  readonly vmas: Vma[] = [];
  numChildren = 0;
  numActiveVmas = 0;
  /** Its anon_vma. */
  readonly object: PhysAddr;

  /** @param vma the mapping that it is made for. */
  constructor(vma: Vma, owners: OwnerTable, parent: AnonVma | null) {
    const { objects } = vma.mm.system;
    this.object = objects.take(objects.anonVma);
    this.id = owners.reserve();
    this.parent = parent ?? this;
    this.parent.numChildren++;
    owners.register(this);
  }

  forEachMapping(index: number, visit: (space: AddressSpace, va: VirtAddr) => boolean): void {
    for (const vma of this.vmas) {
      // Page offsets are compared modulo 2^32: a frame's record has 32 bits for its index.
      const page = (index - vma.pgoff) >>> 0;
      if (page < vma.pages && !visit(vma.mm, (vma.start + page * PAGE_SIZE) as VirtAddr)) return;
    }
  }
}

/** Makes sure that the mapping has a family, a neighbour's where that could merge with it. */
export function anonVmaPrepare(vma: Vma, owners: OwnerTable): AnonVma {
  if (vma.anonVma !== null) return vma.anonVma;
  const anon = findMergeable(vma) ?? new AnonVma(vma, owners, null);
  vma.anonVma = anon;
  link(vma, anon);
  anon.numActiveVmas++;
  return anon;
}

/** Links `to` into every family of `from`; `to.anonVma` may become a family that stands empty. */
export function anonVmaClone(to: Vma, from: Vma): void {
  for (let i = from.anonVmaChain.length - 1; i >= 0; i--) {
    const anon = from.anonVmaChain[i];
    to.anonVmaChain.unshift(anon);
    anon.vmas.push(to);
    takeChain(to);
    const reusable = anon.numChildren < 2 && anon.numActiveVmas === 0;
    if (to.anonVma === null && from.anonVma !== null && reusable) to.anonVma = anon;
  }
  if (to.anonVma !== null) to.anonVma.numActiveVmas++;
}

/** Gives the child's copy of a mapping its families: the parent's, and one of its own. */
export function anonVmaFork(child: Vma, parent: Vma, owners: OwnerTable): void {
  if (parent.anonVma === null) return;
  anonVmaClone(child, parent);
  if (hasFamily(child)) return; // an ancestor's family stood empty
  const anon = new AnonVma(child, owners, parent.anonVma);
  anon.numActiveVmas++;
  child.anonVma = anon;
  link(child, anon);
}

/** Takes a mapping that ends out of its families; families that nobody needs are given back. */
export function unlinkAnonVmas(vma: Vma, owners: OwnerTable): void {
  for (const anon of vma.anonVmaChain) {
    const i = anon.vmas.indexOf(vma);
    assert(i >= 0, 'unlinkAnonVmas: the family knows the mapping');
    anon.vmas.splice(i, 1);
    if (anon.vmas.length === 0) anon.parent.numChildren--;
  }
  if (vma.anonVma !== null) vma.anonVma.numActiveVmas--;
  vma.anonVma = null;
  const { objects } = vma.mm.system;
  for (const anon of vma.anonVmaChain) {
    if (anon.vmas.length > 0) continue;
    owners.release(anon.id);
    objects.give(objects.anonVma, anon.object);
  }
  for (const object of vma.chainObjects) objects.give(objects.anonVmaChain, object);
  vma.chainObjects.length = 0;
  vma.anonVmaChain.length = 0;
}

function hasFamily(vma: Vma): boolean {
  return vma.anonVma !== null;
}

function link(vma: Vma, anon: AnonVma): void {
  vma.anonVmaChain.push(anon);
  anon.vmas.push(vma);
  takeChain(vma);
}

function takeChain(vma: Vma): void {
  const { objects } = vma.mm.system;
  vma.chainObjects.push(objects.take(objects.anonVmaChain));
}

function findMergeable(vma: Vma): AnonVma | undefined {
  const next = vma.mm.vmas.next(vma);
  if (next !== undefined) {
    const anon = reusableFrom(next, vma, next);
    if (anon !== undefined) return anon;
  }
  const prev = vma.mm.vmas.prev(vma);
  return prev === undefined ? undefined : reusableFrom(prev, prev, vma);
}

/** The family of `of`, where `lower` and `upper` are alike enough to become one mapping later. */
function reusableFrom(of: Vma, lower: Vma, upper: Vma): AnonVma | undefined {
  if (of.anonVma === null || of.anonVmaChain.length !== 1) return undefined;
  const alike =
    lower.end === upper.start &&
    lower.file === upper.file &&
    lower.special === upper.special &&
    ((lower.flags ^ upper.flags) & ~(VM_ACCESS_FLAGS | VM_STICKY)) === 0 &&
    upper.pgoff === lower.pgoff + lower.pages;
  return alike ? of.anonVma : undefined;
}

/** The family that all of a tree's come from. */
export function rootOf(anon: AnonVma): AnonVma {
  let root = anon;
  while (root.parent !== root) root = root.parent;
  return root;
}
