import { expect } from 'vitest';
import { OOM_KILL } from '../../kernel/stats.ts';
import { NO_PFN } from '../../kernel/types.ts';
import { reclaimable } from '../../tools/frames.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import type { System } from '../../userspace/index.ts';

export { reclaimable as freeFrames };

/**
 * Ends what still runs, and expects the machine to be as it was: every frame free again that was
 * free before (`freeFrames()` then), nothing promised, nothing locked.
 */
export function expectNoLeaks(system: System, freeBefore: number): void {
  fsckSystem(system);
  for (const task of [...system.tasks.values()]) system.exit(task);
  for (const path of [...system.files.keys()]) system.unlink(path);
  fsckSystem(system);
  system.machine.alloc.check();
  const hugeZero = system.hugeZeroPfn === NO_PFN ? 0 : 512;
  expect(reclaimable(system) + hugeZero).toBe(freeBefore);
  expect(system.vmCommitted).toBe(0);
  expect([...system.machine.stat.node].every((n) => n >= 0)).toBe(true);
  expect(system.mms.size).toBe(0);
  expect(system.machine.stat.counts[OOM_KILL]).toBe(0);
}
