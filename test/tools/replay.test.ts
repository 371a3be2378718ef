// Recordings of real programs replayed: against what the real kernel did, line by line.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { fsckSystem } from '../../userspace/fsck.ts';
import { countFrames, reclaimable } from '../../tools/frames.ts';
import { explain, explanationText, telling } from '../../tools/explain.ts';
import { mappingsOf, ownerOf } from '../../tools/owner.ts';
import { differenceText, firstDifference, RULES } from '../../tools/replay/difference.ts';
import { openReplay } from '../../tools/replay/open.ts';
import { endsProcess } from '../../tools/replay/replayer.ts';
import { Agreement } from '../../tools/replay/summary.ts';
import type { EndReport, LineReport } from '../../tools/replay/report.ts';
import type { Replayer } from '../../tools/replay/replayer.ts';
import { scratch, writeText } from '../support/cli.ts';
import { expectNoLeaks } from '../support/no-leaks.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const examples = join(root, 'tools/examples');
const [folder, remove] = scratch();
afterAll(remove);

interface RealEnd {
  readonly id: number;
  readonly minflt: number;
  readonly majflt: number;
  readonly status?: Readonly<Record<string, number>>;
  readonly smaps?: readonly Readonly<Record<string, unknown>>[];
  readonly pages?: readonly string[];
}

function realEnds(dir: string, name: string): RealEnd[] {
  const text = gunzipSync(readFileSync(join(dir, `${name}.end.json.gz`))).toString();
  return (JSON.parse(text) as { processes: RealEnd[] }).processes;
}

function text(dir: string, name: string): string {
  return gunzipSync(readFileSync(join(dir, `${name}.trace.gz`))).toString();
}

/** The recording without what a replay has to find out: effects, and kinds of faults. */
function stripped(recording: string): string {
  return recording
    .split('\n')
    .map((line) => {
      if (/^\d+ fault /.test(line)) return line.split(' ').slice(0, 5).join(' ');
      if (/^\d+ gup /.test(line)) return line.split(' ').slice(0, 6).join(' ');
      return /^\d+ [a-z_0-9]+\(/.test(line) ? line.replace(/( = \S+.*?) {2}.*$/, '$1') : line;
    })
    .join('\n');
}

interface Outcome {
  readonly replayer: Replayer;
  readonly agreement: Agreement;
  readonly reports: readonly (LineReport | undefined)[];
  readonly ends: readonly EndReport[];
}

async function replay(path: string): Promise<Outcome> {
  const replayer = await openReplay(path);
  const agreement = new Agreement(replayer);
  const reports: (LineReport | undefined)[] = [];
  const ends: EndReport[] = [];
  replayer.onEnd = (end) => ends.push(end);
  replayer.run((record, report) => {
    agreement.add(record, report);
    reports.push(report);
  });
  return { replayer, agreement, reports, ends };
}

/** Pages as the judge counts them: address -> kind. */
function pages(rows: readonly string[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const row of rows) {
    const [where = '', ...rest] = row.split(' ');
    const [start = '0', count = '1'] = where.split('+');
    for (let i = 0; i < Number(count); i++) {
      out.set((BigInt(start) + BigInt(i * 4096)).toString(16), rest.join(' '));
    }
  }
  return out;
}

function expectSameEnd(ours: EndReport | undefined, real: RealEnd): void {
  expect(ours).toMatchObject({ end: real.id, minflt: real.minflt, majflt: real.majflt });
  if (real.status !== undefined) {
    expect(ours).toMatchObject({
      rss_anon: real.status['RssAnon'],
      rss_file: real.status['RssFile'],
      rss_shmem: real.status['RssShmem'],
      vm_pte: real.status['VmPTE'],
    });
  }
  if (real.smaps !== undefined) {
    const key = (m: Readonly<Record<string, unknown>>): string =>
      `${Number(m['start'])}-${Number(m['end'])} ${String(m['perms'])} ${String(m['path'])}`;
    const mine = ours?.maps.map((m) => key({ ...m })) ?? [];
    expect(mine).toEqual(real.smaps.map(key).filter((k) => !k.endsWith('[vsyscall]')));
  }
  if (real.pages !== undefined) expect(pages(ours?.pages ?? [])).toEqual(pages(real.pages));
}

function names(dir: string): string[] {
  return readdirSync(dir)
    .map((f) => /^(.*)\.trace\.gz$/.exec(f)?.[1])
    .filter((f) => f !== undefined);
}

/** A folder of recordings with their end states; the examples where none is named. */
const suite = process.env['PAGEWALK_CONFORMANCE_TRACES'] ?? examples;

describe('recordings agree with the real kernel', () => {
  test.each(names(suite))('%s: each line, each end', async (name) => {
    const { agreement, ends } = await replay(join(suite, `${name}.trace.gz`));
    expect(agreement.text()).toMatch(/100\.00 %\)$/);
    expect(agreement.compared).toBeGreaterThan(0);
    for (const real of realEnds(suite, name)) {
      expectSameEnd(
        ends.find((e) => e.end === real.id),
        real,
      );
    }
  });

  test.each(['forkserver', 'vmcalls'])('%s: nothing is taken from the effects', async (name) => {
    const full = text(examples, name);
    const bare = stripped(full);
    expect(bare).not.toMatch(/anon\+1|minor$/m);
    const a = await replay(writeText(folder, `${name}-full.gz`, full));
    const b = await replay(writeText(folder, `${name}-bare.gz`, bare));
    expect(b.reports).toEqual(a.reports);
    expect(b.ends).toEqual(a.ends);
  });

  test('a machine with little RAM gives the same results', async () => {
    const small = await openReplay(join(examples, 'vmcalls.trace.gz'), 2 ** 28);
    const agreement = new Agreement(small);
    small.run((record, report) => agreement.add(record, report));
    expect(agreement.text()).toMatch(/100\.00 %\)$/);
  });
});

describe('the machine is sound', () => {
  test.each(['forkserver', 'vmcalls', 'pair-hello-go'])('%s, all along', async (name) => {
    const replayer = await openReplay(join(examples, `${name}.trace.gz`), 2 ** 29);
    const { system } = replayer.kernel;
    const before = reclaimable(system);
    const step = Math.ceil(replayer.recording.records.length / 25);
    for (let i = 0; !replayer.done; i++) {
      replayer.step();
      if (i % step !== 0) continue;
      fsckSystem(system);
      system.machine.alloc.check();
      const f = countFrames(system);
      const sum = f.free + f.boot + f.tables + f.slab + f.anonymous + f.files + f.kernel;
      expect(sum).toBe(f.total);
    }
    expectNoLeaks(system, before);
  });
});

describe('explain and owner', () => {
  test('the chain down and the chain up meet', async () => {
    const replayer = await openReplay(join(examples, 'forkserver.trace.gz'));
    while (!replayer.done && !endsProcess(replayer)) replayer.step();
    const { system } = replayer.kernel;
    for (const { task } of replayer.tasks.values()) {
      const va = telling(task.mm)!;
      const e = explain(task.mm, va);
      expect(e.walk.steps.map((s) => s.level)).toEqual([4, 3, 2, 1]);
      expect(e.mapping).toBeDefined();
      expect(mappingsOf(system, e.walk.pfn)).toContainEqual({
        pid: task.tgid,
        comm: task.comm,
        va,
      });
      expect(ownerOf(system, task.mm.root)).toMatchObject({ use: 'page table' });
      for (const step of e.walk.steps.slice(1)) {
        const owner = ownerOf(system, step.table);
        expect(owner.use).toBe('page table');
        expect(owner.text).toContain(['', 'PTE', 'PMD', 'PUD'][step.level]);
      }
      for (const line of explanationText(e, task.mm.root)) {
        expect(line.length).toBeLessThanOrEqual(80);
      }
    }
  });

  test('every frame of RAM has a use, and the uses are the counted ones', async () => {
    const replayer = await openReplay(join(examples, 'vmcalls.trace.gz'), 2 ** 27);
    while (!replayer.done && !endsProcess(replayer)) replayer.step();
    const { system } = replayer.kernel;
    const counts = new Map<string, number>();
    for (let pfn = 0; pfn < system.machine.pages.nrFrames; pfn++) {
      const { use } = ownerOf(system, pfn);
      counts.set(use, (counts.get(use) ?? 0) + 1);
    }
    const f = countFrames(system);
    expect(counts.get('free')).toBe(f.free);
    expect(counts.get('anonymous')).toBe(f.anonymous);
    expect(counts.get('file')).toBe(f.files);
    expect(counts.get('page table')).toBe(f.tables);
  });
});

describe('a difference is explained', () => {
  test('there is none in an example', async () => {
    const replayer = await openReplay(join(examples, 'vmcalls.trace.gz'));
    expect(firstDifference(replayer)).toBeUndefined();
  });

  test.each([
    [/^1 fault 0x7ffff7d8f000 r user minor zero$/m, '1 fault 0x7ffff7d8f000 r user minor anon+1'],
    [/ = 0x7ffff7c8e000$/m, ' = 0x7ffff7c8f000'],
    [/anon\+1 file-1$/m, 'reuse'],
  ])('a planted one is found: %s', async (find, replacement) => {
    const good = text(examples, 'vmcalls');
    const bad = good.replace(find, (m) => m.replace(find, replacement));
    expect(bad).not.toBe(good);
    const changed = good.split('\n').findIndex((line, i) => line !== bad.split('\n')[i]);
    const path = writeText(folder, 'planted.gz', bad);
    const found = firstDifference(await openReplay(path))!;
    expect(found.line).toBe(changed + 1);
    const lines = differenceText(path, found);
    expect(lines[0]).toContain(`planted.gz:${changed + 1}: `);
    expect(lines.join('\n')).toMatch(/ours +anon \d+.*\n +recorded anon \d+.*\n +rule /);
  });

  test('each rule stands where it is said to stand', () => {
    for (const { file, name } of RULES) {
      expect(readFileSync(join(root, file), 'utf8').toLowerCase()).toContain(name.toLowerCase());
    }
  });
});
