// Why is a frame not free: who refers to it, how it came to be used, what would free it.

import { InputError } from '../../kernel/errors.ts';
import { PG_anon, PG_swapcache } from '../../kernel/page.ts';
import { hex, type Pfn } from '../../kernel/types.ts';
import { Inode } from '../../userspace/file.ts';
import type { System } from '../../userspace/system.ts';
import { type FrameOwner, type FrameUse, mappingsOf, ownerOf } from '../owner.ts';
import { frameHistory } from './history.ts';
import type { Session } from './session.ts';
import { Chain, frameText, type Why } from './why.ts';

/** Mappings named one by one; the rest is counted. */
const NAMED = 8;

/** What gives a frame of each use back. */
const ENDS: Readonly<Partial<Record<FrameUse, string>>> = {
  boot: 'never: it was set aside before the allocator began',
  'zero page': 'never: every process may map it',
  'page table': 'when the addresses it serves are unmapped, or its process ends',
  slab: 'when all objects of its slab are freed, and its cache has slabs to spare',
  anonymous: 'with its last mapping: munmap(), MADV_DONTNEED, the end of the process, or swap-out',
  file: 'when it is not mapped and reclaim wants it, or the file is truncated or deleted',
  kernel: 'when the kernel gives it back',
};

/** @throws InputError where there is no such frame */
export function whyFrame(session: Session, pfn: number): Why {
  const { system } = session;
  if (!Number.isInteger(pfn) || pfn < 0 || pfn >= system.machine.pages.nrFrames) {
    const last = hex(system.machine.pages.nrFrames - 1);
    throw new InputError('', `no frame ${hex(pfn)}: this machine has frames 0 to ${last}`);
  }
  const owner = ownerOf(system, pfn);
  const chain = new Chain(session);
  const step = frameHistory(session, pfn, chain);
  if (owner.use === 'free' || owner.use === 'nothing') {
    const since = step === undefined ? '' : ` since step ${step + 1}`;
    const answer =
      owner.use === 'free'
        ? `It is${since}: ${owner.text.replace('nobody: ', '')}.`
        : `${owner.text}.`;
    return { question: `Why is ${frameText(pfn)} not free?`, answer, causes: chain.causes };
  }
  if (step === undefined && session.kind !== 'machine') {
    chain.now('in use since before the first step: it was taken when the machine booted or began');
  }
  references(system, pfn, owner, chain);
  const end = ENDS[owner.use];
  if (end !== undefined) chain.now(`comes free: ${end}`);
  const answer = `It is used: ${owner.text}.`;
  return { question: `Why is ${frameText(pfn)} not free?`, answer, causes: chain.causes };
}

/** Names the holders of a frame's references, so that they add up to its count. */
export function references(system: System, pfn: number, owner: FrameOwner, chain: Chain): void {
  const { pages, rmap } = system.machine;
  if (owner.use !== 'anonymous' && owner.use !== 'file') return;
  const head = pages.head(pfn);
  const total = pages.refcount(head);
  const mappings = mappingsOf(system, pfn as Pfn);
  const about = { kind: 'frame', pfn } as const;
  chain.now(`${total} ${total === 1 ? 'reference' : 'references'} to it:`, about);
  let named = 0;
  for (const { pid, comm, va } of mappings) {
    if (++named > NAMED) continue;
    chain.now(`  process ${pid} (${comm}) maps it at ${hex(va)}`, { kind: 'address', pid, va });
  }
  if (mappings.length > NAMED) chain.now(`  and ${mappings.length - NAMED} mappings more`);
  const flags = pages.flags(head);
  const nr = 1 << pages.compoundOrder(head);
  const pagesOf = nr > 1 ? ` (its folio of ${nr} pages, one each)` : '';
  if ((flags & PG_anon) === 0 && rmap.owners.get(pages.owner(pfn)) instanceof Inode) {
    named += nr;
    chain.now(`  the page cache holds it${pagesOf}`);
  }
  if ((flags & PG_swapcache) !== 0) {
    named += nr;
    chain.now(`  the swap cache holds it${pagesOf}`);
  }
  if (named < total) {
    const rest = nr > 1 ? 'by mappings of the other pages of its folio' : 'by the kernel (pinned)';
    chain.now(`  ${total - named} more ${rest}`);
  }
}
