// The commit limit: how much memory has been promised (Committed_AS), and who is refused.
//
//   mode 0  only what exceeds all RAM and swap at once is refused
//   mode 1  nothing is refused
//   mode 2  all promises together stay below swap + overcommit_ratio percent of RAM
//
// Source: Linux 6.18 mm/util.c: __vm_enough_memory(), vm_commit_limit().

import { ENOMEM, SysError } from '../kernel/errors.ts';
import type { Mm } from './mm.ts';
import type { System } from './system.ts';

/** Pages that may be promised in mode 2 (CommitLimit). */
export function commitLimitPages(system: System): number {
  const { overcommitRatio } = system.sysctl;
  return Math.floor((system.totalRamPages * overcommitRatio) / 100) + system.totalSwapPages;
}

/** Promises `pages` more. @throws SysError ENOMEM where the mode forbids it. */
export function chargeCommit(mm: Mm, pages: number): void {
  const { system } = mm;
  const { overcommitMemory } = system.sysctl;
  if (overcommitMemory === 0 && pages > system.totalRamPages + system.totalSwapPages) {
    throw new SysError(ENOMEM);
  }
  if (overcommitMemory === 2) {
    let allowed = commitLimitPages(system);
    if (!system.privileged) allowed -= system.sysctl.adminReserveKbytes / 4;
    allowed -= Math.min(mm.totalVm / 32, system.sysctl.userReserveKbytes / 4);
    if (system.vmCommitted + pages >= allowed) throw new SysError(ENOMEM);
  }
  system.vmCommitted += pages;
}

/** Takes promises back. */
export function unchargeCommit(system: System, pages: number): void {
  system.vmCommitted -= pages;
}
