// Switching a swap device off: everything on it comes back into memory.
//
//     shared memory   each swapped page of each file goes back into its cache
//     private memory  every swap entry of the device, in every address space, is mapped again
//     swap cache      pages that only the cache still holds are dropped
//
// Meanwhile nothing new goes there; but a page that is still in the cache of its slot may be
// written there again for want of memory, so all is done again until the device is empty. Where
// memory does not suffice, the device stays on, with what is left on it.
// Source: Linux 6.18 mm/swapfile.c: SYSCALL_DEFINE1(swapoff), try_to_unuse(), unuse_pte();
// mm/shmem.c: shmem_unuse().

import { EINVAL, ENOMEM, SysError } from '../kernel/errors.ts';
import { FAULT_OOM } from '../kernel/ports.ts';
import { _PAGE_ACCESSED, ptePresent, swapType } from '../kernel/pte.ts';
import { NO_PFN, TASK_SIZE, type Pfn, type VirtAddr } from '../kernel/types.ts';
import type { Mm } from './mm.ts';
import { PM_SWAP, forEachPage } from './pagemap.ts';
import { Swap } from './swap.ts';
import type { System } from './system.ts';

/** Linux goes on until a signal comes. */
const MAX_ROUNDS = 64;

/**
 * swapoff(2) of the device with this name.
 * @throws SysError EINVAL where it is not in use, ENOMEM where memory does not suffice.
 */
export function swapOff(system: System, name: string): void {
  const { swap } = system;
  if (!(swap instanceof Swap)) throw new SysError(EINVAL);
  const area = swap.areas.find((a) => a?.name === name);
  if (area === undefined) throw new SysError(EINVAL);
  area.closing = true;
  const { groups } = system.machine;
  const running = groups?.current ?? null;
  try {
    for (let round = 0; area.used > 0; round++) {
      if (round === MAX_ROUNDS) throw new SysError(ENOMEM);
      if (!swap.unuseShmem(area)) throw new SysError(ENOMEM);
      for (const mm of [...system.mms]) {
        groups?.run(mm.group);
        unuseSpace(mm, area.type);
      }
      for (let slot = 1; slot < area.slots; slot++) {
        const pfn = area.cached[slot] as Pfn;
        if (pfn !== NO_PFN) swap.tryToFree(pfn);
      }
    }
  } catch (e) {
    area.closing = false;
    throw e;
  } finally {
    groups?.run(running);
  }
  swap.remove(area);
  system.totalSwapPages -= area.usable;
}

/** Maps every page of an address space that is on the device. */
function unuseSpace(mm: Mm, type: number): void {
  const { swap, machine } = mm.system;
  const { words } = machine.mem;
  const swapped: number[] = [];
  forEachPage(mm, 0, TASK_SIZE, (va, bits) => {
    if ((bits & PM_SWAP) !== 0) swapped.push(va);
  });
  for (const va of swapped) {
    const vma = mm.vmas.at(va);
    const pte = mm.pgt.pteAt(va);
    if (vma === undefined || pte < 0 || ptePresent(words[pte])) continue;
    if (swapType(words[pte + 1]) !== type) continue;
    const result = swap?.swapIn(vma, pte, va as VirtAddr, 0);
    if (result === FAULT_OOM) throw new SysError(ENOMEM);
    words[pte] &= ~_PAGE_ACCESSED; // nobody used it
  }
}
