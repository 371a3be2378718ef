// The kinds of resident pages that an address space counts.
// Source: Linux 6.18 include/linux/mm_types_task.h.

/** Indexes of Mm.rss. */
export const MM_FILEPAGES = 0;
export const MM_ANONPAGES = 1;
export const MM_SWAPENTS = 2;
export const MM_SHMEMPAGES = 3;

/** The name that /proc/PID/status gives to a kind. */
export function rssName(kind: number): string {
  return ['RssFile', 'RssAnon', 'VmSwap', 'RssShmem'][kind];
}
