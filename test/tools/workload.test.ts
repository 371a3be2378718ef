// Workloads side by side: cases, the waterfall of memory, one seed one machine.

import seedrandom from 'seedrandom';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../kernel/index.ts';
import { programs } from '../../runtime/workload/programs/index.ts';
import { System } from '../../userspace/system.ts';
import { waterfall } from '../../tools/waterfall.ts';
import { startCase } from '../../tools/cases.ts';
import { runCase } from '../../tools/run-case.ts';
import { isWorkload, loadWorkload, runCases } from '../../tools/workload.ts';
import { defaultCosts } from '../../tools/cost.ts';
import { cellsOf } from '../../tools/grid.ts';
import { sizeOf } from '../../tools/size.ts';
import { runTogether } from '../../tools/together.ts';
import { workloadHtml } from '../../tools/workload-html.ts';
import { workloadText } from '../../tools/workload-text.ts';

const RAM = 2 ** 30;

describe('the waterfall', () => {
  // waterfall() itself throws where the steps do not sum to RSS and what the kernel spends.
  test.each([
    ['go', 'structs'],
    ['go:GOGC=25', 'binary_trees'],
    ['go', 'buffer_churn'],
    ['python', 'structs'],
    ['python:3.13', 'word_count'],
    ['python:3.12', 'graphs'],
  ])('of %s %s sums to RSS and kernel memory at many moments', (name, program) => {
    const { heap, task } = startCase(new System({ ram: RAM }), name);
    const runtime = heap.runtime === 'go' ? heap.go : heap.py;
    let moments = 0;
    let next = 0;
    heap.clock.watch = (ns) => {
      if (ns < next) return;
      next = ns + 20000 + ((ns * 7919) % 30000);
      const w = waterfall(task, runtime);
      expect(w.total).toBe(task.mm.rssPages * 4096 + w.kernel);
      moments++;
    };
    heap.scope(() => programs[program](heap, 1 / 64));
    expect(moments).toBeGreaterThan(3);
    const end = waterfall(task, runtime);
    expect(end.bytes.objects).toBeGreaterThan(0);
    expect(end.bytes['files (page cache)']).toBe(task.mm.rss[0] * 4096);
  });
});

describe('the waterfall of each program', () => {
  // PAGEWALK_MOMENTS=1000 for the full number, at full size.
  const moments = Number(process.env['PAGEWALK_MOMENTS'] ?? 0);
  const every = ['go', 'python'].flatMap((c) => Object.keys(programs).map((p) => [c, p]));
  const some = every.filter((_, i) => i % 13 === 0);

  test.each(moments > 0 ? every : some)(
    'on %s of %s sums to the byte at random moments',
    (name, program) => {
      const scale = moments > 0 ? 1 : 1 / 64;
      const wanted = moments > 0 ? moments : 20;
      const plain = runCases(programs[program], [name], { ram: 4 * RAM, scale });
      const { heap, task } = startCase(new System({ ram: 4 * RAM }), name);
      const runtime = heap.runtime === 'go' ? heap.go : heap.py;
      const random = seedrandom(`${name} ${program}`);
      const end = plain[0].virtualNs;
      const times = Array.from({ length: wanted }, () => random() * end).sort((a, b) => a - b);
      let taken = 0;
      const look = (): void => {
        const w = waterfall(task, runtime);
        const kernel = w.bytes['page tables'] + w.bytes["the kernel's objects"];
        expect(Object.values(w.bytes).reduce((a, b) => a + b, 0)).toBe(
          task.mm.rssPages * 4096 + kernel,
        );
        taken++;
      };
      heap.clock.watch = (ns) => {
        while (taken < wanted && (times[taken] ?? Infinity) <= ns) look();
      };
      heap.scope(() => {
        programs[program](heap, scale);
        while (taken < wanted) look();
      });
      expect(taken).toBe(wanted);
    },
    3600000,
  );
});

describe('in a small machine', () => {
  const program = programs['linked_list'];
  const options = { ram: RAM, scale: 1 / 8 };

  test('a limit below what is needed kills', () => {
    const free = runCase(program, 'go', options);
    expect(free.killed).toBe(false);
    expect(runCase(program, 'go', { ...options, limit: 512 << 10 }).killed).toBe(true);
  });

  test('size finds a limit that is enough, and a step less that is not', () => {
    const step = 256 << 10;
    const found = sizeOf(program, 'go', { ...options, faultRate: 1e9, step, costs: defaultCosts });
    const tried = new Map(found.tries.map((t) => [t.limit, t.isEnough]));
    expect(tried.get(found.limit)).toBe(true);
    expect(tried.get(found.limit - step)).toBe(false);
  });

  test('together they take memory from each other', () => {
    const cases = ['go', 'python'];
    const base = { ram: RAM, scale: 1 / 8, swap: 64 << 20 };
    const roomy = runTogether(program, cases, { ...base, limit: 0 });
    const tight = runTogether(program, cases, { ...base, limit: 8 << 20 });
    expect(roomy.vmstat).toEqual({});
    expect(tight.vmstat['pswpout']).toBeGreaterThan(0);
    const resident = (t: typeof roomy): number => t.cases.reduce((sum, c) => sum + c.peakBytes, 0);
    expect(resident(tight)).toBeLessThan(resident(roomy));
    expect(tight.cases.map((c) => c.output)).toEqual(roomy.cases.map((c) => c.output));
  });
});

describe('grids', () => {
  test('ranges double, lists are taken as they are, each runtime gets its own settings', () => {
    const cells = cellsOf('gogc=25..100,thp=always|never', ['go', 'python'], {
      ram: RAM,
      scale: 1,
    });
    expect(cells.map((c) => `${c.case} ${c.options.thp ?? ''}`)).toEqual([
      'go:GOGC=25 always',
      'go:GOGC=25 never',
      'go:GOGC=50 always',
      'go:GOGC=50 never',
      'go:GOGC=100 always',
      'go:GOGC=100 never',
      'python always',
      'python never',
    ]);
  });

  test.each(['gogc', 'colour=1..2', 'ram=4M..1M', 'thp=maybe'])('%s is refused', (axes) => {
    expect(() => cellsOf(axes, ['go'], { ram: RAM, scale: 1 })).toThrow(InputError);
  });
});

describe('cases', () => {
  test('the same again gives the same to the byte', async () => {
    const program = await loadWorkload('lru-cache');
    const once = JSON.stringify(runCases(program, ['go', 'python'], { ram: RAM, scale: 1 / 16 }));
    expect(JSON.stringify(runCases(program, ['go', 'python'], { ram: RAM, scale: 1 / 16 }))).toBe(
      once,
    );
  });

  test('GOGC decides how often Go collects; a report names every case', async () => {
    const program = await loadWorkload('binary_trees');
    const cases = ['go:GOGC=25', 'go:GOGC=400', 'python:gc=disable', 'python'];
    const results = runCases(program, cases, { ram: RAM, scale: 1 / 16 });
    const [often, seldom, never, normal] = results;
    expect(often.collections).toBeGreaterThan(seldom.collections);
    expect(often.peakBytes).toBeLessThan(seldom.peakBytes);
    expect(never.collections).toBeLessThan(normal.collections);
    const text = workloadText('binary_trees', results);
    const html = workloadHtml({ name: 'binary_trees', command: 'x', results });
    for (const name of cases) {
      expect(text).toContain(name);
      expect(html).toContain(name);
    }
    expect(text).toContain('All print: ');
    expect(html).not.toMatch(/(src|href)=/);
  });

  test.each(['java', 'go:GOGC=x', 'python:4', 'go:profile=2'])('%s is refused', (name) => {
    expect(() => startCase(new System({ ram: RAM }), name)).toThrow(InputError);
  });

  test('a name that is no workload is refused', async () => {
    expect(isWorkload('nosuch')).toBe(false);
    await expect(loadWorkload('nosuch')).rejects.toThrow(/there are: binary_trees/);
  });
});

describe('figures of the real programs', () => {
  // Go 1.26.11: least and most of 31 runs; CPython 3.11.7: the same in every run. Peak KiB.
  test('a million integers take what the real ones took', async () => {
    const program = await loadWorkload('int_list');
    const [go, python] = runCases(program, ['go', 'python'], { ram: 4 * RAM, scale: 1 });
    expect(go.output).toBe('1000000 8393297789767');
    expect(go.peakBytes / 1024).toBeGreaterThanOrEqual(17268 * 0.95);
    expect(go.peakBytes / 1024).toBeLessThanOrEqual(30592);
    expect(Math.abs(python.peakBytes / 1024 / 48232 - 1)).toBeLessThan(0.05);
    expect(Math.abs(python.minorFaults / 10686 - 1)).toBeLessThan(0.05);
  });
});
