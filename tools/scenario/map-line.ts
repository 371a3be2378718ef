// A mapping as /proc/PID/smaps shows it, in the form of observations.

import { PAGE_SIZE } from '../../kernel/types.ts';
import { Smaps, smapsOf } from '../../userspace/smaps.ts';
import { permsOf, type Vma } from '../../userspace/vma.ts';
import type { MapLine } from './observe.ts';

/** What /proc/PID/maps shows as the name of a mapping. */
export function pathOf(vma: Vma): string {
  if (vma.special !== '') return vma.special;
  if (vma.file !== null) return vma.file.inode.path;
  const { mm } = vma;
  if (vma.start < mm.brk && vma.end > mm.startBrk) return '[heap]';
  return vma.start <= mm.startStack && vma.end >= mm.startStack ? '[stack]' : '';
}

/** The mapping with its pages counted. */
export function mapLine(vma: Vma): MapLine {
  const s = smapsOf(vma);
  return {
    start: `0x${vma.start.toString(16)}`,
    end: `0x${vma.end.toString(16)}`,
    perms: permsOf(vma.flags),
    offset: vma.file === null ? 0 : vma.pgoff * PAGE_SIZE,
    path: pathOf(vma),
    rss: s.rss / 1024,
    pss: Smaps.kib(s.pss),
    shared_clean: s.sharedClean / 1024,
    shared_dirty: s.sharedDirty / 1024,
    private_clean: s.privateClean / 1024,
    private_dirty: s.privateDirty / 1024,
    anonymous: s.anonymous / 1024,
    anon_huge: s.anonHuge / 1024,
    swap: s.swap / 1024,
    locked: Smaps.kib(s.pssLocked),
  };
}
