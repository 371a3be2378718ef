// PYTHONMALLOC=debug: the bytes around a block and the report, as CPython 3.11.7 printed them.

import { describe, expect, test } from 'vitest';
import { type ProfileName, PythonRuntime } from '../../../runtime/index.ts';
import { DebugHooks } from '../../../runtime/python/debug-hooks.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

function rig(version: ProfileName = '3.11'): { py: PythonRuntime; hooks: DebugHooks } {
  const memory = new FlatMemory({ capacityBytes: 1 << 26 });
  const py = new PythonRuntime(memory, version);
  return { py, hooks: new DebugHooks(py.mem, py.obmalloc, 'o', py.profile) };
}

function bytes(py: PythonRuntime, at: number, n: number): string {
  return Array.from({ length: n }, (_, i) =>
    py.mem
      .load8(at + i)
      .toString(16)
      .padStart(2, '0'),
  ).join('');
}

describe('a block of 20 bytes', () => {
  const head = '00000000000000146ffdfdfdfdfdfdfd';

  test('has its size, its family and pads around it', () => {
    const { py, hooks } = rig();
    const p = hooks.malloc(20);
    expect(bytes(py, p - 16, 44)).toBe(`${head}${'cd'.repeat(20)}${'fd'.repeat(8)}`);
  });

  test('of 2.7 has other patterns and a serial number', () => {
    const { py, hooks } = rig('2.7');
    hooks.malloc(1);
    const p = hooks.malloc(20);
    const old = head.replaceAll('fd', 'fb');
    expect(bytes(py, p - 16, 52)).toBe(`${old}${'cb'.repeat(20)}${'fb'.repeat(8)}0000000000000002`);
  });

  test('grows in place and moves when it shrinks; the old one is filled', () => {
    const { py, hooks } = rig();
    const p = hooks.malloc(20);
    for (let i = 0; i < 20; i++) py.mem.store8(p + i, 0x11);
    const q = hooks.realloc(p, 24);
    expect(q).toBe(p);
    const grown = `00000000000000186ffdfdfdfdfdfdfd${'11'.repeat(20)}${'cd'.repeat(4)}`;
    expect(bytes(py, q - 16, 48)).toBe(`${grown}${'fd'.repeat(8)}`);
    const r = hooks.realloc(q, 10);
    expect(bytes(py, r - 16, 34)).toBe(
      `000000000000000a6ffdfdfdfdfdfdfd${'11'.repeat(10)}${'fd'.repeat(8)}`,
    );
    hooks.free(r);
    expect(bytes(py, r, 10)).toBe('dd'.repeat(10));
    py.check();
  });

  test('of 300 bytes keeps its middle and both its ends', () => {
    const { py, hooks } = rig();
    const p = hooks.malloc(300);
    for (let i = 0; i < 300; i++) py.mem.store8(p + i, i & 127);
    const q = hooks.realloc(p, 1000);
    for (let i = 0; i < 300; i++) expect(py.mem.load8(q + i)).toBe(i & 127);
    expect(bytes(py, q + 300, 3)).toBe('cdcdcd');
  });
});

describe('the report', () => {
  test('of a write past the end', () => {
    const { py, hooks } = rig();
    const p = hooks.malloc(20);
    for (let i = 0; i < 3; i++) py.mem.store8(p + 20 + i, 0x41);
    expect(() => {
      hooks.free(p);
    }).toThrow(`Debug memory block at address p=0x${p.toString(16)}: API 'o'
    20 bytes originally requested
    The 7 pad bytes at p-7 are FORBIDDENBYTE, as expected.
    The 8 pad bytes at tail=0x${(p + 20).toString(16)} are not all FORBIDDENBYTE (0xfd):
        at tail+0: 0x41 *** OUCH
        at tail+1: 0x41 *** OUCH
        at tail+2: 0x41 *** OUCH
        at tail+3: 0xfd
        at tail+4: 0xfd
        at tail+5: 0xfd
        at tail+6: 0xfd
        at tail+7: 0xfd
    Data at p: cd cd cd cd cd cd cd cd ... cd cd cd cd cd cd cd cd

Enable tracemalloc to get the memory block allocation traceback

Fatal Python error: _PyMem_DebugRawFree: bad trailing pad byte`);
  });

  test('of a write before the beginning', () => {
    const { py, hooks } = rig();
    const p = hooks.malloc(20);
    for (let i = 1; i <= 3; i++) py.mem.store8(p - i, 0x41);
    expect(() => {
      hooks.free(p);
    }).toThrow(/at p-4: 0xfd\n {8}at p-3: 0x41 \*\*\* OUCH\n[^]*bad leading pad byte$/);
  });

  test('of a block that is freed twice, or by another family', () => {
    const { py, hooks } = rig();
    const other = new DebugHooks(py.mem, py.obmalloc, 'm', py.profile);
    const p = hooks.malloc(20);
    expect(() => {
      other.free(p);
    }).toThrow("bad ID: Allocated using API 'o', verified using API 'm'");
    hooks.free(p);
    expect(() => {
      hooks.free(p);
    }).toThrow(/at p-7: 0xdd \*\*\* OUCH\n[^]*bad ID: Allocated using API '\xdd'/);
  });

  test('of 3.8 does not name the function', () => {
    const { py, hooks } = rig('3.8');
    const p = hooks.malloc(20);
    py.mem.store8(p + 20, 0);
    expect(() => {
      hooks.free(p);
    }).toThrow(/Fatal Python error: bad trailing pad byte$/);
  });
});

test('a runtime with PYTHONMALLOC=debug runs as before, in blocks 24 bytes larger', () => {
  const memory = new FlatMemory({ capacityBytes: 1 << 26 });
  const py = new PythonRuntime(memory, '3.11', { debug: true });
  const list = py.lists.make(0);
  for (let i = 0; i < 100; i++) py.lists.append(list, py.scalars.none);
  expect(py.obmalloc.blockOf(list)).toBe(list - 16 - 16);
  py.core.decref(list);
  py.gc.collect(2);
  py.check();
});
