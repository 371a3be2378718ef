// `pagewalk save FILE MACHINE`: a machine, at a point of a run, as a file.

import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../../kernel/index.ts';
import { mib } from '../frames.ts';
import { type MachineOptions, openMachine, placeOf, withMachine } from '../open-machine.ts';
import { saveMachine } from '../session/save.ts';

export function register(program: Command): void {
  const command = program
    .command('save')
    .description('write a whole machine to a file: its RAM, its kernel, its processes and heaps')
    .argument('<file>', 'where to')
    .argument('<machine>', 'a recording, scenario, script or workload');
  withMachine(command).action(async (file: string, path: string, options: MachineOptions) => {
    const session = await openMachine(path, options);
    const bytes = await saveMachine(session, placeOf(session, path));
    try {
      writeFileSync(file, bytes);
    } catch (e) {
      const { code } = e as NodeJS.ErrnoException;
      throw new InputError(file, `cannot write: ${code ?? String(e)}`);
    }
    const { touchedFrames } = session.system.machine.mem;
    process.stdout.write(
      `${file}: the machine ${placeOf(session, path)}, hash ${session.hash()}\n` +
        `  ${mib(touchedFrames)} of RAM that was touched, in ${bytes.length} bytes\n`,
    );
  });
}
