// `pagewalk fsck MACHINE…`: proves machines' structures sound.

import type { Command } from 'commander';
import { KernelBug } from '../../kernel/errors.ts';
import { fsckKernel } from '../../kernel/fsck.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import type { System } from '../../userspace/system.ts';
import { countFrames, mib, type FrameCounts } from '../frames.ts';
import { type MachineOptions, openMachine, placeOf, withMachine } from '../open-machine.ts';

interface Options extends MachineOptions {
  readonly json: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('fsck')
    .description('prove a machine sound: one owner a frame, counts, lists, page tables')
    .argument('<machine...>', 'recordings, scenarios, scripts, workloads or saved machines')
    .option('--json', 'JSON lines on standard output', false);
  withMachine(command).action(async (paths: string[], options: Options) => {
    for (const path of paths) await checkOne(path, options);
  });
}

async function checkOne(path: string, options: Options): Promise<void> {
  const session = await openMachine(path, options);
  const { line, system } = session;
  const wrong = whatIsWrong(system);
  if (wrong !== undefined) process.exitCode = 1;
  const frames = countFrames(system);
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ path, line, sound: wrong === undefined, wrong, frames })}\n`,
    );
    return;
  }
  const verdict = wrong === undefined ? 'sound' : `NOT sound: ${wrong}`;
  process.stdout.write(`${path}, ${placeOf(session, path)}: ${verdict}\n  ${framesText(frames)}\n`);
}

/** The first thing that is wrong with a machine; undefined for nothing. */
function whatIsWrong(system: System): string | undefined {
  try {
    fsckSystem(system);
    fsckKernel(system.machine);
    const f = countFrames(system);
    const sum = f.free + f.boot + f.tables + f.slab + f.anonymous + f.files + f.kernel;
    return sum === f.total ? undefined : `${sum} frames have an owner, RAM has ${f.total}`;
  } catch (e) {
    if (e instanceof KernelBug) return e.message;
    throw e;
  }
}

function framesText(f: FrameCounts): string {
  return (
    `${mib(f.anonymous)} anonymous, ${mib(f.files)} files, ${mib(f.tables)} page tables, ` +
    `${mib(f.boot + f.kernel + f.slab)} kernel, ${mib(f.free)} free`
  );
}
