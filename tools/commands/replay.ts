// `pagewalk replay TRACE…`: what a recording of a real program does to the emulated machine.

import type { Command } from 'commander';
import { openInput } from '../input.ts';
import { parseTlb, replayLackey, type LackeyCounts, type TlbShape } from '../lackey-replay.ts';
import { detect } from '../trace/detect.ts';

interface Options {
  readonly json: boolean;
  readonly tlb: readonly TlbShape[];
}

export function register(program: Command): void {
  program
    .command('replay')
    .description('replay recordings of real programs: memtrace, strace, perf script, lackey text')
    .argument('<trace...>', 'recordings, gzip or plain; the format is told from the content')
    .option('--json', 'JSON lines on standard output, as formats/trace.md says', false)
    .option(
      '--tlb <shape>',
      'lackey text: count misses of a TLB, ENTRIES or SETSxWAYS; may be repeated',
      (text: string, before: readonly TlbShape[]) => [...before, parseTlb(text)],
      [],
    )
    .action(async (paths: string[], options: Options) => {
      for (const path of paths) await replayOne(path, options);
    });
}

async function replayOne(path: string, options: Options): Promise<void> {
  const input = openInput(path);
  try {
    const kind = await detect(input);
    if (kind === 'lackey') {
      const counts = await replayLackey(input, options.tlb);
      process.stdout.write(options.json ? `${JSON.stringify(counts)}\n` : lackeyText(path, counts));
    }
  } finally {
    await input.close();
  }
}

/** The counts as a small table for people. */
function lackeyText(path: string, counts: LackeyCounts): string {
  const rows: [string, number][] = [
    ['lines', counts.lines],
    ['instruction fetches', counts.refs.I],
    ['loads', counts.refs.L],
    ['stores', counts.refs.S],
    ['load and store of the same bytes', counts.refs.M],
    ['references', counts.refs.total],
    ['  of these in two pages', counts.refs_in_two_pages],
    ['different 4 KiB pages', counts.pages_4k],
    ['different 2 MiB regions', counts.regions_2m],
    ['system call lines', counts.syscall_lines],
  ];
  for (const [name, misses] of Object.entries(counts.tlb_misses)) {
    rows.push([`misses of TLB ${name}`, misses]);
  }
  const lines = rows.map(
    ([name, n]) => `  ${name.padEnd(34)} ${n.toLocaleString('en-US').padStart(15)}`,
  );
  return `${path}: every memory access of a program (valgrind lackey)\n${lines.join('\n')}\n`;
}
