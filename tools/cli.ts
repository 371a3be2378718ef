#!/usr/bin/env node
// The command line: `pagewalk COMMAND [options]`. One file a command in commands/, each with
// `register(program)`; this file knows them all, and turns what they throw into exit codes.
//
// Exit codes: 0 done; 1 a check or a comparison did not hold; 2 bad input or usage.

import process from 'node:process';
import { Command, CommanderError } from 'commander';
import { InputError } from '../kernel/index.ts';
import { register as registerAlloc } from './commands/alloc.ts';
import { register as registerBoot } from './commands/boot.ts';
import { register as registerCompare } from './commands/compare.ts';
import { register as registerExplain } from './commands/explain.ts';
import { register as registerExport } from './commands/export.ts';
import { register as registerFsck } from './commands/fsck.ts';
import { register as registerOwner } from './commands/owner.ts';
import { register as registerReplace } from './commands/replace.ts';
import { register as registerReplay } from './commands/replay.ts';
import { register as registerRun } from './commands/run.ts';
import { register as registerVerify } from './commands/verify.ts';
import { manifest } from './version.ts';

/** Each command's file, by what it adds to the program. Add a line here for a new command. */
const commands: readonly ((program: Command) => void)[] = [
  registerAlloc,
  registerBoot,
  registerCompare,
  registerExplain,
  registerExport,
  registerFsck,
  registerOwner,
  registerReplace,
  registerReplay,
  registerRun,
  registerVerify,
];

function build(): Command {
  const program = new Command('pagewalk')
    .description(manifest.description)
    .version(manifest.version)
    .showHelpAfterError('(pagewalk --help lists the commands)')
    .exitOverride();
  for (const register of commands) register(program);
  return program;
}

async function main(): Promise<void> {
  // `pagewalk … | head` closes our output early: that is the reader's right, not a failure.
  process.stdout.on('error', (e: NodeJS.ErrnoException) => {
    if (e.code === 'EPIPE') process.exit(0);
    throw e;
  });
  try {
    await build().parseAsync();
  } catch (e) {
    if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? 0 : 2;
    else if (e instanceof InputError) {
      process.stderr.write(`pagewalk: ${e.message}\n`);
      process.exitCode = 2;
    } else throw e;
  }
}

await main();
