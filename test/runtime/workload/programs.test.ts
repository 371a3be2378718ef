// Each program prints the same on Go's heap and on Python's, and leaves sound structures behind.

import { describe, expect, test } from 'vitest';
import { runProgram } from '../../../runtime/workload/heap.ts';
import { programs } from '../../../runtime/workload/programs/index.ts';
import { startGo, startPython } from '../../../runtime/workload/start.ts';
import { System } from '../../../userspace/system.ts';

const RAM = 2 ** 30;
const SCALE = 1 / 32;

function onGo(name: string, scale: number, gcPercent = 100): string {
  const { heap } = startGo(new System({ ram: RAM }), { gcPercent });
  const output = heap.scope(() => runProgram(heap, programs[name], scale));
  heap.go.collect();
  heap.go.heap.check(heap.go.procs);
  return output;
}

function onPython(name: string, scale: number): string {
  const { heap } = startPython(new System({ ram: RAM }));
  const output = heap.scope(() => runProgram(heap, programs[name], scale));
  heap.py.check();
  return output;
}

describe('programs', () => {
  test.each(Object.keys(programs))('%s prints the same on both heaps', (name) => {
    const output = onGo(name, SCALE);
    expect(output).not.toBe('');
    expect(onPython(name, SCALE)).toBe(output);
  });

  test.each(['graphs', 'lru_cache', 'groups', 'walk', 'messages', 'closures', 'grid_bfs'])(
    '%s prints the same however often Go collects',
    (name) => {
      expect(onGo(name, SCALE, 10)).toBe(onGo(name, SCALE, -1));
    },
  );
});
