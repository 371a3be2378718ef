// The lower links of a chain: what a frame is used for, and its zone.

import { MIGRATE_NAMES } from '../../kernel/migrate_type.ts';
import { PG_active, PG_lru } from '../../kernel/page.ts';
import { objectOf } from '../../kernel/slab_inspect.ts';
import { NO_PFN, PAGE_SIZE } from '../../kernel/types.ts';
import { Inode } from '../../userspace/file.ts';
import type { FrameOwner } from '../owner.ts';
import { hexText, type ChainFact, type ChainLink } from './chain-parts.ts';
import type { Subject } from './subject.ts';

/** Free list, slab, page cache or LRU list, and the zone. */
export function useLinks(subject: Subject, pfn: number, owner: FrameOwner): ChainLink[] {
  const links: ChainLink[] = [];
  if (owner.use === 'free') links.push(freeLink(subject, pfn));
  if (owner.use === 'slab') links.push(slabLink(subject, pfn));
  if (owner.use === 'file') links.push(cacheLink(subject, pfn));
  const lru = lruLink(subject, pfn);
  if (lru !== undefined) links.push(lru);
  const zone = subject.system.machine.alloc.zones.find((z) => pfn >= z.startPfn && pfn < z.endPfn);
  if (zone !== undefined) {
    const [min = 0, low = 0, high = 0] = zone.watermark;
    links.push({
      kind: 'zone',
      term: 'zone',
      title: `zone ${zone.name}, node ${zone.node}`,
      facts: [
        { label: 'free', value: `${zone.free} of ${zone.managed} frames` },
        { label: 'watermarks', value: `min ${min}, low ${low}, high ${high}` },
      ],
    });
  }
  return links;
}

function freeLink(subject: Subject, pfn: number): ChainLink {
  const { tables } = subject.system.machine.alloc;
  const block = tables.freeBlockOf(pfn);
  if (block === NO_PFN) {
    return { kind: 'free', term: 'pcp', title: 'free, on a CPU’s own list', facts: [] };
  }
  return {
    kind: 'free',
    term: 'buddy',
    title: `free list of order ${tables.freeOrder(block)}`,
    facts: [
      { label: 'block from', value: `frame ${hexText(block)}` },
      { label: 'kept for', value: MIGRATE_NAMES[tables.typeOf(pfn)] ?? '' },
    ],
    select: { kind: 'frame', pfn: block, offset: 0 },
  };
}

function slabLink(subject: Subject, pfn: number): ChainLink {
  const cache = subject.system.machine.slab.cacheOf(pfn);
  const facts: ChainFact[] = [];
  if (cache !== undefined) {
    const head = subject.system.machine.pages.head(pfn);
    facts.push(
      { label: 'object size', value: `${cache.layout.size} bytes` },
      { label: 'in this slab', value: `${cache.slabs.objectsOf(head)} objects` },
    );
    const object = objectOf(cache, pfn * PAGE_SIZE);
    if (object !== undefined) facts.push({ label: 'slab from', value: `frame ${hexText(head)}` });
  }
  return { kind: 'slab', term: 'slab', title: `slab cache ${cache?.name ?? '?'}`, facts };
}

function cacheLink(subject: Subject, pfn: number): ChainLink {
  const { pages, rmap } = subject.system.machine;
  const head = pages.head(pfn);
  const inode = rmap.owners.get(pages.owner(head));
  const path = inode instanceof Inode ? inode.path : '';
  return {
    kind: 'cache',
    term: 'page-cache',
    title: 'page cache',
    facts: [
      { label: 'file', value: path },
      { label: 'index', value: `page ${pages.index(head) + pfn - head} of the file` },
    ],
  };
}

function lruLink(subject: Subject, pfn: number): ChainLink | undefined {
  const { pages, lru } = subject.system.machine;
  const head = pages.head(pfn);
  if (!pages.hasFlags(head, PG_lru)) return undefined;
  const state = pages.hasFlags(head, PG_active) ? 'active' : 'inactive';
  return {
    kind: 'lru',
    term: 'lru',
    title: `LRU, ${state}`,
    facts: [{ label: 'policy', value: lru.policyOf(head).name }],
  };
}
