// `pagewalk replay TRACE…`: what a recording of a real program does to the emulated machine.

import type { Command } from 'commander';
import { recordingPath } from '../examples.ts';
import { openInput } from '../input.ts';
import { parseTlb, replayLackey, type LackeyCounts, type TlbShape } from '../lackey-replay.ts';
import { JsonLines } from '../output.ts';
import { Progress } from '../progress.ts';
import { differenceText, firstDifference } from '../replay/difference.ts';
import { openReplay, parseSize } from '../replay/open.ts';
import { Agreement, number, processText } from '../replay/summary.ts';
import { detect } from '../trace/detect.ts';

interface Options {
  readonly json: boolean;
  readonly explainDifference: boolean;
  readonly ram?: number;
  readonly tlb: readonly TlbShape[];
}

export function register(program: Command): void {
  program
    .command('replay')
    .description('replay recordings of real programs: memtrace, strace, perf script, lackey text')
    .argument('<trace...>', 'recordings, gzip or plain; the format is told from the content')
    .option('--json', 'JSON lines: what each line did, and each process at its end', false)
    .option('--explain-difference', 'stop where machine and recording part, and say why', false)
    .option('--ram <size>', 'RAM of the machine (default: as the recording says)', parseSize)
    .option(
      '--tlb <shape>',
      'lackey text: count misses of a TLB, ENTRIES or SETSxWAYS; may be repeated',
      (text: string, before: readonly TlbShape[]) => [...before, parseTlb(text)],
      [],
    )
    .action(async (paths: string[], options: Options) => {
      for (const path of paths) await replayOne(recordingPath(path), options);
    });
}

async function replayOne(path: string, options: Options): Promise<void> {
  const input = openInput(path);
  let counts: LackeyCounts | undefined;
  try {
    if ((await detect(input)) === 'lackey') counts = await replayLackey(input, options.tlb);
  } finally {
    await input.close();
  }
  if (counts !== undefined) {
    process.stdout.write(options.json ? `${JSON.stringify(counts)}\n` : lackeyText(path, counts));
  } else if (options.explainDifference) await explainDifference(path, options);
  else if (options.json) await replayJson(path, options);
  else await replayText(path, options);
}

async function replayJson(path: string, options: Options): Promise<void> {
  const replayer = await openReplay(path, options.ram);
  const out = new JsonLines();
  replayer.onEnd = (end) => out.write(end);
  replayer.run((_record, report) => {
    if (report !== undefined) out.write(report);
  });
  out.end();
}

async function replayText(path: string, options: Options): Promise<void> {
  const replayer = await openReplay(path, options.ram);
  const agreement = new Agreement(replayer);
  const begun = performance.now();
  const progress = new Progress('replaying');
  replayer.run((record, report) => {
    agreement.add(record, report);
    progress.at(replayer.next, replayer.recording.records.length);
  });
  progress.end();
  const seconds = (performance.now() - begun) / 1000;
  const { recording } = replayer;
  const lines = [
    `${path}: ${recording.command}`.slice(0, 80),
    `${number(recording.lines)} lines, ${replayer.processes.size} processes, ` +
      `replayed in ${seconds.toFixed(2)} s`,
    `agrees with the real kernel in ${agreement.text()}`,
  ];
  const shown = [...replayer.processes.values()].slice(0, 8);
  for (const p of shown) lines.push('', ...processText(p));
  const more = replayer.processes.size - shown.length;
  if (more > 0) lines.push('', `and ${more} more processes (--json has them all)`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function explainDifference(path: string, options: Options): Promise<void> {
  const replayer = await openReplay(path, options.ram);
  const found = firstDifference(replayer);
  if (found === undefined) {
    process.stdout.write(`${path}: no line differs from the recording\n`);
    return;
  }
  process.exitCode = 1;
  const text = options.json ? JSON.stringify(found) : differenceText(path, found).join('\n');
  process.stdout.write(`${text}\n`);
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
  const lines = rows.map(([name, n]) => `  ${name.padEnd(34)} ${number(n).padStart(15)}`);
  return `${path}: every memory access of a program (valgrind lackey)\n${lines.join('\n')}\n`;
}
