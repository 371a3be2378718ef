#!/usr/bin/env node
// The command line: `pagewalk COMMAND [options]`. One file a command in commands/, each with
// `register(program)`; this file knows them all, and turns what they throw into exit codes. Only
// the command that is asked for is loaded: help loads them all.
//
// Exit codes: 0 done; 1 a check or a comparison did not hold; 2 bad input or usage.

import process from 'node:process';
import { Command, CommanderError } from 'commander';
import { InputError } from '../kernel/errors.ts';
import { manifest } from './version.ts';

interface CommandFile {
  register(program: Command): void;
}

/** Each command's file, by name. Add a line here for a new command. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandFile>>> = {
  alloc: () => import('./commands/alloc.ts'),
  bench: () => import('./commands/bench.ts'),
  boot: () => import('./commands/boot.ts'),
  calibrate: () => import('./commands/calibrate.ts'),
  compare: () => import('./commands/compare.ts'),
  explore: () => import('./commands/explore.ts'),
  explain: () => import('./commands/explain.ts'),
  export: () => import('./commands/export.ts'),
  fsck: () => import('./commands/fsck.ts'),
  owner: () => import('./commands/owner.ts'),
  record: () => import('./commands/record.ts'),
  repl: () => import('./commands/repl.ts'),
  replace: () => import('./commands/replace.ts'),
  replay: () => import('./commands/replay.ts'),
  run: () => import('./commands/run.ts'),
  save: () => import('./commands/save.ts'),
  size: () => import('./commands/size.ts'),
  verify: () => import('./commands/verify.ts'),
  why: () => import('./commands/why.ts'),
};

async function build(asked: string | undefined): Promise<Command> {
  const program = new Command('pagewalk')
    .description(manifest.description)
    .version(manifest.version)
    .showHelpAfterError('(pagewalk --help lists the commands)')
    .exitOverride();
  const one = asked === undefined ? undefined : COMMANDS[asked];
  const all = asked === '--version' || asked === '-V' ? [] : Object.values(COMMANDS);
  const files = one === undefined ? all : [one];
  for (const file of await Promise.all(files.map((load) => load()))) file.register(program);
  return program;
}

async function main(): Promise<void> {
  // `pagewalk … | head` closes our output early: that is the reader's right, not a failure.
  process.stdout.on('error', (e: NodeJS.ErrnoException) => {
    if (e.code === 'EPIPE') process.exit(0);
    throw e;
  });
  try {
    const program = await build(process.argv[2]);
    await program.parseAsync();
  } catch (e) {
    if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? 0 : 2;
    else if (e instanceof InputError) {
      process.stderr.write(`pagewalk: ${e.message}\n`);
      process.exitCode = 2;
    } else throw e;
  }
}

await main();
