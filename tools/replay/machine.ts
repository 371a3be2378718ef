// The machine on which a recording was made, as far as the recording says.

import type { SystemConfig } from '../../userspace/system.ts';
import type { Recording } from '../trace/record.ts';

/** RAM of a machine whose recording does not say: what the recordings' machines have. */
const DEFAULT_RAM = 24 * 2 ** 30;

/** The machine that a recording was made on, as far as it says. */
export function machineOf(recording: Recording, ram: number | undefined): SystemConfig {
  const text = recording.machine;
  const gib = /(\d+) GiB/.exec(text)?.[1];
  const around = /fault_around (\d+) KiB/.exec(text)?.[1];
  const thp = /huge pages (always|madvise|never)/.exec(text)?.[1] as
    'always' | 'madvise' | 'never' | undefined;
  const overcommit = /overcommit ([012])/.exec(text)?.[1];
  return {
    ram: ram ?? (gib === undefined ? DEFAULT_RAM : Number(gib) * 2 ** 30),
    sysctl: {
      ...(around === undefined ? {} : { faultAroundPages: Number(around) / 4 }),
      ...(thp === undefined ? {} : { thp }),
      ...(overcommit === undefined ? {} : { overcommitMemory: Number(overcommit) }),
    },
  };
}
