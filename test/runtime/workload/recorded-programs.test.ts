// Four whole programs of CPython 3.11.7 (`python -I -S`), rebuilt as workloads: what they print and
// how often each generation was collected are the same, peak RSS and allocated blocks within 5 %.
//
// The figures are of the real programs: ru_maxrss of nine runs, least and most; the others without
// anything that records, when the program has ended and the interpreter not yet.

import { describe, expect, test } from 'vitest';
import { runProgram } from '../../../runtime/workload/heap.ts';
import { programs } from '../../../runtime/workload/programs/index.ts';
import { startPython } from '../../../runtime/workload/start.ts';
import { System } from '../../../userspace/system.ts';

interface Recorded {
  readonly output: readonly string[];
  readonly peakKib: readonly [number, number];
  readonly blocks: number;
  readonly collections: readonly number[];
}

const recorded: Readonly<Record<string, Recorded>> = {
  growing_trees: {
    output: ['stretch 65535', '4 4096 126976', '8 256 130816', '12 16 131056', 'long lived 32767'],
    peakKib: [11484, 11696],
    blocks: 8183,
    collections: [295, 26, 2],
  },
  json_round_trip: {
    output: [
      '0 353412 1184 2954',
      '1 241653 1155 2883',
      '2 236349 1139 2862',
      '3 333008 1120 2786',
      '4 227947 1113 2702',
      '5 227788 1085 2679',
    ],
    peakKib: [16288, 16436],
    blocks: 17021,
    collections: [65, 5, 0],
  },
  simulation: {
    output: [
      '1616.372 36544.068 [1328, 1362, 1331, 1332, 1328, 1319] 5500',
      '1608.672 106505.952 [1317, 1342, 1352, 1349, 1332, 1308] 5500',
    ],
    peakKib: [10008, 10160],
    blocks: 16040,
    collections: [29, 2, 0],
  },
  string_building: {
    output: ['32987 370141 27702 9785 13942', "362,142 '😱'"],
    peakKib: [21088, 21340],
    blocks: 8381,
    collections: [17, 1, 0],
  },
};

/** Whether a figure is within 5 % of what was recorded. */
function expectNear(figure: number, [least, most]: readonly [number, number]): void {
  expect(figure).toBeGreaterThan(least * 0.95);
  expect(figure).toBeLessThan(most * 1.05);
}

describe('programs of a real CPython', () => {
  test.each(Object.entries(recorded))('%s costs what it cost there', (name, real) => {
    const system = new System({ ram: 2 ** 30 });
    const { heap, task } = startPython(system, '3.11', { start: 'bare' });
    const output = heap.scope(() => runProgram(heap, programs[name], 1));
    expect(output.split('\n')).toEqual(real.output);
    const { py } = heap;
    expect(py.gc.stats.map((s) => s.collections)).toEqual(real.collections);
    expectNear(Math.max(task.mm.hiwaterRss, task.mm.rssPages) * 4, real.peakKib);
    expectNear(py.mallocStats().allocated_blocks, [real.blocks, real.blocks]);
    py.check();
  });
});
