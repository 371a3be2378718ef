// A forked heap's decay, beside what real CPython's children said of themselves (fork/figures.json,
// printed by fork/warm_heap.py on Linux, one child).

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { server } from '../../runtime/workload/programs/server.ts';
import { type ForkResult, type Phase, runForks } from '../../tools/fork.ts';
import { forkText } from '../../tools/fork-text.ts';

interface Memory {
  readonly shared_dirty_kib: number;
  readonly private_dirty_kib: number;
}
interface Run {
  readonly python: string;
  readonly mode: 'plain' | 'freeze';
  readonly users: number;
  readonly phases: Readonly<Record<'fork' | Phase, Memory>>;
}
const { runs } = JSON.parse(
  readFileSync(new URL('fork/figures.json', import.meta.url), 'utf8'),
) as { runs: Run[] };

const KIB = 1024;
const options = { ram: 2 ** 30, scale: 0.5, children: 1 };

function caseOf(run: Run): string {
  const version = run.python.split('.').slice(0, 2).join('.');
  return `python:${version}${run.mode === 'freeze' ? ',gc=freeze' : ''}`;
}

/** KiB that a phase made the child's own, there and here. */
function own(r: ForkResult, phase: Phase, before: 'fork' | Phase): number {
  return (r.after[phase].privateDirty - r.after[before].privateDirty) / KIB;
}

describe.each(runs.map((run) => [caseOf(run), run] as const))('%s', (name, run) => {
  test('a child loses what a real one loses', () => {
    const [found] = runForks(server, [name], options);
    const real = run.phases;
    const part = (is: number, was: number): number => is / was;
    const shared = part(found.after.fork.sharedDirty / KIB, real.fork.shared_dirty_kib);
    expect(shared).toBeGreaterThan(0.95);
    expect(shared).toBeLessThan(1.05);
    const read = real.reading.private_dirty_kib - real.fork.private_dirty_kib;
    expect(part(own(found, 'reading', 'fork'), read)).toBeGreaterThan(0.97);
    expect(part(own(found, 'reading', 'fork'), read)).toBeLessThan(1.03);
    // The interpreter's own objects, which a collection touches, lie closer together here.
    const collected = own(found, 'collecting', 'reading');
    const really = real.collecting.private_dirty_kib - real.reading.private_dirty_kib;
    if (run.mode === 'freeze') expect(collected).toBeLessThan(64);
    else {
      expect(collected).toBeGreaterThan(0.3 * really);
      expect(collected).toBeLessThan(1.05 * really);
    }
  });
});

test('Go’s children read for nothing; collecting writes its marks', () => {
  const [go] = runForks(server, ['go'], { ...options, children: 3 });
  expect(own(go, 'reading', 'fork')).toBe(0);
  expect(own(go, 'collecting', 'reading')).toBeGreaterThan(100);
  expect(go.grownBytes).toBeGreaterThan(3 * go.after.collecting.privateDirty * 0.9);
  const text = forkText('server', [go]);
  expect(text).toContain('forked 3 times');
  expect(go.course.length).toBeGreaterThan(10);
});
