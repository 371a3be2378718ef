// A lackey trace, written by valgrind and read by us: the same references, seconds against seconds.
//
// valgrind writes the references of `ls -l /etc` to a file, in CPU seconds t1; we read the file,
// gzip-compressed, and count pages and the misses of two TLBs, in t2. The figure is t1 / t2.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openInput } from '../input.ts';
import { parseTlb, replayLackey } from '../lackey-replay.ts';
import type { FigureCase } from './bench.ts';

const PROGRAM = 'valgrind --tool=lackey --trace-mem=yes --log-file="$0" ls -l /etc >/dev/null';
const RUNS = 3;

/** How many times faster we are; null without valgrind. */
async function againstValgrind(): Promise<number | null> {
  const folder = mkdtempSync(join(tmpdir(), 'pagewalk-lackey-'));
  const file = join(folder, 'trace.lackey');
  try {
    const written = Math.min(...Array.from({ length: RUNS }, () => secondsOfShell(PROGRAM, file)));
    execFileSync('gzip', ['-1', file]);
    let read = Infinity;
    for (let i = 0; i < RUNS; i++) {
      const start = process.cpuUsage();
      await replayLackey(openInput(`${file}.gz`), [parseTlb('64'), parseTlb('16x4')]);
      const { user, system } = process.cpuUsage(start);
      read = Math.min(read, (user + system) / 1e6);
    }
    return written / read;
  } catch {
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** CPU seconds, user and system, of a command and its children. */
function secondsOfShell(command: string, argument: string): number {
  const script = `${command} 2>/dev/null || exit 1; times`;
  const text = execFileSync('sh', ['-c', script, argument], { encoding: 'utf8' });
  const [user = '', system = ''] = (text.trim().split('\n')[1] ?? '').split(' ');
  return minutes(user) + minutes(system);
}

/** `1m2.5s` in seconds. */
function minutes(text: string): number {
  const match = /^(\d+)m([\d.]+)s$/.exec(text);
  if (match === null) throw new Error(`times: ${text}`);
  return Number(match[1]) * 60 + Number(match[2]);
}

export const figures: readonly FigureCase[] = [
  {
    name: 'replay.lackey',
    what: 'lackey text, gzip, read and replayed: times the speed at which valgrind writes it',
    unit: 'times',
    goal: 5,
    stretch: 10,
    more: true,
    measure: againstValgrind,
  },
];
