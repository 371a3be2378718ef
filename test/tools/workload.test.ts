// Workloads side by side: cases, the waterfall of memory, one seed one machine.

import { describe, expect, test } from 'vitest';
import { InputError } from '../../kernel/index.ts';
import { programs } from '../../runtime/workload/programs/index.ts';
import { System } from '../../userspace/system.ts';
import { waterfall } from '../../tools/waterfall.ts';
import { startCase } from '../../tools/cases.ts';
import { isWorkload, loadWorkload, runCases } from '../../tools/workload.ts';
import { workloadHtml, workloadText } from '../../tools/workload-text.ts';

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

describe('cases', () => {
  test('the same again gives the same to the byte', async () => {
    const program = await loadWorkload('lru-cache');
    const once = JSON.stringify(runCases(program, ['go', 'python'], RAM, 1 / 16));
    expect(JSON.stringify(runCases(program, ['go', 'python'], RAM, 1 / 16))).toBe(once);
  });

  test('GOGC decides how often Go collects; a report names every case', async () => {
    const program = await loadWorkload('binary_trees');
    const cases = ['go:GOGC=25', 'go:GOGC=400', 'python:gc=disable', 'python'];
    const results = runCases(program, cases, RAM, 1 / 16);
    const [often, seldom, never, normal] = results;
    expect(often.collections).toBeGreaterThan(seldom.collections);
    expect(often.peakBytes).toBeLessThan(seldom.peakBytes);
    expect(never.collections).toBeLessThan(normal.collections);
    const text = workloadText('binary_trees', results);
    const html = workloadHtml('binary_trees', results);
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
    const [go, python] = runCases(program, ['go', 'python'], 4 * RAM, 1);
    expect(go.output).toBe('1000000 8393297789767');
    expect(go.peakBytes / 1024).toBeGreaterThanOrEqual(17268 * 0.95);
    expect(go.peakBytes / 1024).toBeLessThanOrEqual(30592);
    expect(Math.abs(python.peakBytes / 1024 / 48232 - 1)).toBeLessThan(0.05);
    expect(Math.abs(python.minorFaults / 10686 - 1)).toBeLessThan(0.05);
  });
});
