import { afterAll, describe, expect, test } from 'vitest';
import { measure, type BenchCase } from '../../tools/bench/bench.ts';
import { cases, figures } from '../../tools/bench/index.ts';
import { Yardsticks } from '../../tools/bench/yardsticks.ts';
import { pagewalk } from '../support/cli.ts';

describe('benchmarks', () => {
  test('their names differ, and goals are below what one is proud of', () => {
    const names = [...cases, ...figures].map((c) => c.name);
    expect(new Set(names).size).toBe(names.length);
    for (const c of cases) expect(c.stretch ?? 1).toBeGreaterThanOrEqual(c.goal ?? 0);
    for (const f of figures)
      expect(f.more === true ? f.goal <= f.stretch : f.stretch <= f.goal).toBe(true);
  });

  test.each(cases.map((c) => [c.name, c] as const))('%s computes the same each time', (_, c) => {
    const sums = [0, 1].map(() => {
      const subject = c.make('small');
      const runs = [0, 1].map(() => {
        subject.prepare?.();
        return subject.run();
      });
      expect(subject.ops).toBeGreaterThan(0);
      expect(runs[0]).toBe(runs[1]);
      return runs[0];
    });
    expect(sums[0]).toBe(sums[1]);
  });

  test('a path is compared with its yardstick, best with best', async () => {
    const asked: string[] = [];
    const rates = [10, 30, 20];
    const path: BenchCase = {
      name: 'x',
      what: 'adds',
      unit: 'adds/s',
      yardstick: 'machine:x',
      goal: 0,
      make: () => ({ ops: 1000, run: () => Array.from({ length: 1000 }, (_, i) => i).length }),
    };
    const slices = (name: string): Promise<number | null> => {
      asked.push(name);
      return Promise.resolve(rates.shift() ?? null);
    };
    const result = await measure(path, slices, 3);
    expect(asked).toEqual(['machine:x', 'machine:x', 'machine:x']);
    expect(result.yardstick).toBe(30);
    expect(result.ratio).toBeCloseTo((result.value ?? 0) / 30);
    expect(result.reached).toBe(true);
    expect(result.checksum).toBe((1000).toString(16));
    const alone = await measure(path, () => Promise.resolve(null), 1);
    expect([alone.yardstick, alone.ratio, alone.reached]).toEqual([null, null, null]);
  });

  test('a path that computes something else is no benchmark', async () => {
    let n = 0;
    const make = (): ReturnType<BenchCase['make']> => ({ ops: 1, run: () => n++ });
    const path: BenchCase = { name: 'x', what: '', unit: '/s', yardstick: null, make };
    await expect(measure(path, () => Promise.resolve(null), 1)).rejects.toThrow(/something else/);
  });
});

describe('yardsticks', () => {
  const yardsticks = new Yardsticks();
  afterAll(() => {
    yardsticks.close();
  });
  if (yardsticks.missing !== undefined) console.warn(`no yardsticks: ${yardsticks.missing}`);

  test.skipIf(yardsticks.missing !== undefined)('the C programs know every name', async () => {
    const names = new Set(cases.map((c) => c.yardstick).filter((name) => name !== null));
    for (const name of names) {
      if (name.startsWith('kernel:')) continue; // the host's kernel takes its time
      expect(await yardsticks.slice(name), name).toBeGreaterThan(1e6);
    }
    expect(await yardsticks.slice('kernel:mmap')).toBeGreaterThan(1e3);
    expect(await yardsticks.slice('machine:nothing')).toBeNull();
  });
});

test('a benchmark that does not exist is refused with the names that do', () => {
  const { code, err } = pagewalk('bench', 'nonsense');
  expect(code).toBe(2);
  expect(err).toContain('tlb.hit');
});
