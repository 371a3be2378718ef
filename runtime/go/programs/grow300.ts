// Grows to 300 MiB in blocks of 1 MiB, each touched, lets them go, collects, and gives the memory
// back to the system; then takes 50 MiB again.

import { readMemStats } from '../mstats.ts';
import type { GoProgram } from '../program.ts';

const BLOCK = 1 << 20;

/** @param mark told the program's place where it reads MemStats. */
export function grow300(prog: GoProgram, mark?: (where: string) => void): void {
  const { go } = prog;
  const read = (where: string): void => {
    readMemStats(go);
    mark?.(where);
  };
  const keep = Array.from({ length: 300 }, () => go.newGlobal());
  const fill = (i: number): void => {
    const at = prog.new(BLOCK);
    for (let k = 0; k < BLOCK; k += 4096) go.mem.store8(at + k, 1);
    prog.set(keep[i], at);
  };
  read('start');
  for (let i = 0; i < 300; i++) {
    fill(i);
    if (i === 99 || i === 199) read('so far');
  }
  read('grown');
  for (const slot of keep) prog.set(slot, 0);
  go.collect();
  read('collected');
  go.freeOSMemory();
  read('given back');
  for (let i = 0; i < 50; i++) fill(i);
  read('50 MiB again');
}
