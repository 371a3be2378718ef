// A replay for people: what each process did to memory, what the kernel's work for it would cost,
// and how well the replay agrees with what the real kernel did. 80 columns.

import { hasEffects } from './difference.ts';
import { differences, isComparable, type LineReport } from './report.ts';
import type { ReplayProcess, Replayer } from './replayer.ts';
import { FAULT_KINDS, type FaultName } from './tally.ts';
import type { TraceRecord } from '../trace/record.ts';

/**
 * What one fault of a kind costs a real kernel, in ns: measured on Linux 6.18 in a virtual machine
 * of 2 CPUs (829 k/s zeroed, 2.03 M/s zero page, 465 k/s copied, 1.63 M/s reused); file faults are
 * taken as a zeroed page's.
 */
const COST_NS: Readonly<Partial<Record<FaultName, number>>> = {
  'zeroed page': 1206,
  'zero page (read)': 493,
  'zero page, written': 1206,
  'file, around': 1206,
  'file, one page': 1206,
  'copied: file page': 2150,
  'copied: after fork': 2150,
  reused: 613,
  'vdso data': 493,
};

/** Agreement with the recording, counted line by line. */
export class Agreement {
  agreed = 0;
  compared = 0;
  firstLine = 0;
  private readonly effects: boolean;

  constructor(replayer: Replayer) {
    this.effects = hasEffects(replayer.recording);
  }

  add(record: TraceRecord, report: LineReport | undefined): void {
    if (!isComparable(record) && (report?.effect ?? '') === '') return;
    if (!isComparable(record) && !this.effects) return;
    this.compared++;
    if (differences(record, report, this.effects).length === 0) this.agreed++;
    else if (this.firstLine === 0) this.firstLine = record.line;
  }

  text(): string {
    if (this.compared === 0) return 'the recording holds nothing to compare with';
    const share = ((100 * this.agreed) / this.compared).toFixed(2);
    const what = this.effects ? 'lines' : 'faults and results';
    const all = this.agreed === this.compared;
    const where = all ? '' : `; first difference at line ${this.firstLine}`;
    return `${number(this.agreed)} of ${number(this.compared)} ${what} (${share} %)${where}`;
  }
}

export function number(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

/** KiB or MiB, three digits at the least. */
export function bytes(n: number): string {
  if (n < 10 * 2 ** 20) return `${number(n / 1024)} KiB`;
  if (n >= 2 ** 30) return `${(n / 2 ** 30).toFixed(1)} GiB`;
  return `${(n / 2 ** 20).toFixed(1)} MiB`;
}

/** One process as lines of text. */
export function processText(p: ReplayProcess): string[] {
  const { tally } = p;
  const lines: string[] = [];
  const status = tally.status === undefined ? 'still runs' : `ended with ${tally.status}`;
  lines.push(`process ${p.id}  ${p.program}  (${status})`);
  const total = [...tally.faults.values()].reduce((a, b) => a + b, 0);
  const time = FAULT_KINDS.map((k) => (tally.faults.get(k) ?? 0) * (COST_NS[k] ?? 0));
  const allTime = time.reduce((a, b) => a + b, 0);
  const faults = `${number(tally.minor)} minor, ${number(tally.major)} major`;
  lines.push(`  page faults ${number(total)}: ${faults}; ${number(tally.byKernel)} by the kernel`);
  FAULT_KINDS.forEach((kind, i) => {
    const n = tally.faults.get(kind) ?? 0;
    if (n === 0) return;
    const share = allTime > 0 ? (time[i] ?? 0) / allTime : 0;
    const bar = '#'.repeat(Math.round(share * 24));
    const percent = time[i] === 0 ? '' : `${(share * 100).toFixed(0)} %`;
    lines.push(`    ${kind.padEnd(20)} ${number(n).padStart(9)} ${percent.padStart(6)} ${bar}`);
  });
  if (allTime > 0) {
    lines.push(`    fault time on a real kernel: about ${(allTime / 1e6).toFixed(2)} ms`);
  }
  const last = tally.last;
  if (last !== undefined) {
    lines.push(
      `  memory at the end: anonymous ${bytes(last.anon * 4096)}, files ` +
        `${bytes((last.file + last.shmem) * 4096)}, page tables ${bytes(last.pt)}`,
      `  at the most ${bytes(tally.peakPages * 4096)} resident`,
    );
  }
  const calls = [...tally.calls.entries()].sort((a, b) => b[1] - a[1]).slice(0, 6);
  if (calls.length > 0) {
    lines.push(`  system calls: ${calls.map(([name, n]) => `${name} ${number(n)}`).join(', ')}`);
  }
  return lines;
}
