// `pagewalk alloc`: runs an allocation script or stream on a language runtime whose heap lies in an
// emulated process, and prints what each statement did. One file a runtime: alloc-go.ts and
// alloc-python.ts.

import { Option, type Command } from 'commander';
import { allocGo } from '../alloc-go.ts';
import { allocPython } from '../alloc-python.ts';

export interface AllocOptions {
  readonly runtime: 'go' | 'python';
  readonly profile?: string;
  readonly base?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
  readonly gcDebug?: string;
  readonly steps?: boolean;
  readonly top?: string;
}

export function register(program: Command): void {
  program
    .command('alloc')
    .description("run an allocation script on a runtime's allocator in an emulated process")
    .addOption(
      new Option('--runtime <name>', 'which runtime')
        .choices(['go', 'python'])
        .makeOptionMandatory(),
    )
    .option('--profile <version>', 'the version emulated: go1.9, go1.19, go1.26; 2.7 … 3.14.5')
    .option('--base <file>', 'the state in which scripts start (JSON)')
    .option('--json', 'print observations as JSON lines')
    .option('--debug', 'Python: PYTHONMALLOC=debug, marks around blocks; adds write() and dump()')
    .option('--gc-debug <flags>', 'Python: gc.set_debug(): stats,collectable,uncollectable,saveall')
    .option('--steps', 'Python: each step of each collection, with gc_refs')
    .option('--top <n>', 'Python: the n who holds the memory at the end, by line and by type')
    .argument('<file>', 'the script (*.heap) or stream')
    .action((file: string, options: AllocOptions) => {
      if (options.runtime === 'go') allocGo(file, options);
      else allocPython(file, options);
    });
}
