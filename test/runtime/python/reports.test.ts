// The interpreter's own reports, and the way from an address to its block, pool and arena.

import { describe, expect, test } from 'vitest';
import { describe as describePlace, profiles, PythonRuntime } from '../../../runtime/index.ts';
import { debugMallocStats } from '../../../runtime/python/debug-malloc-stats.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

function python(): PythonRuntime {
  return new PythonRuntime(new FlatMemory({ capacityBytes: 1 << 26 }));
}

describe('sys._debugmallocstats()', () => {
  // Figures and lines as CPython 3.11.7 printed them.
  const text = debugMallocStats(
    profiles['3.11'],
    {
      classes: { '16': [1, 106, 915], '512': [2, 50, 12] },
      arenas: { total: 4, reclaimed: 0, highwater: 4, current: 4 },
      bytes: {
        arenas: 4194304,
        allocated: 3492112,
        available: 330368,
        unused_pools: 294912,
        pool_headers: 11280,
        quantization: 16480,
        arena_alignment: 49152,
        total: 4194304,
      },
      map: { mid_nodes: 1, bot_nodes: 1 },
      allocated_blocks: 0,
    },
    { dict: 8, float: 4, list: 40, dict_keys: 0, tuple: { '1': 4, '20': 6 } },
  );

  test.each([
    'Small block threshold = 512, in 32 size classes.',
    'class   size   num pools   blocks in use  avail blocks',
    '    0     16           1             106           915',
    '   31    512           2              50            12',
    '# arenas allocated total           =                    4',
    '4 arenas * 1048576 bytes/arena     =            4,194,304',
    '18 unused pools * 16384 bytes      =              294,912',
    '# bytes lost to arena alignment    =               49,152',
    '# bytes lost to arena map bot      =              131,072',
    'Total                              =              655,360',
    '            8 free PyDictObjects * 48 bytes each =                  384',
    '   4 free 1-sized PyTupleObjects * 32 bytes each =                  128',
    ' 0 free 10-sized PyTupleObjects * 104 bytes each =                    0',
    ' 6 free 20-sized PyTupleObjects * 184 bytes each =                1,104',
  ])('has the line %j', (line) => {
    expect(text.split('\n')).toContain(line);
  });

  test('of a heap adds up to its arenas', () => {
    const py = python();
    for (let i = 0; i < 1000; i++) py.lists.make(i % 20);
    const { bytes } = py.mallocStats();
    expect(bytes.total).toBe(bytes.arenas);
    expect(py.debugMallocStats()).toContain(
      '# arenas allocated total           =                    1',
    );
  });
});

describe('describe()', () => {
  test('finds block, pool and arena of an object, and knows when the block is free', () => {
    const py = python();
    const a = py.scalars.float(1.5);
    const b = py.scalars.float(2.5);
    const place = describePlace(py, b + 8);
    expect(place).toMatchObject({
      where: 'pool',
      block: { address: b, bytes: 32, index: 1, isFree: false },
      pool: { szidx: 1, used: 2, index: 0 },
      arena: { index: 0 },
    });
    py.obmalloc.free(b);
    expect(describePlace(py, b).block?.isFree).toBe(true);
    expect(describePlace(py, a).block?.isFree).toBe(false);
    expect(describePlace(py, b + 32).block?.isFree).toBe(true); // never handed out
  });

  test('tells the data section and the rest apart', () => {
    const py = python();
    expect(describePlace(py, py.scalars.none)).toEqual({ where: 'data' });
    expect(describePlace(py, py.obmalloc.malloc(600))).toEqual({ where: 'raw' });
  });
});
