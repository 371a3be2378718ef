// What the parsers of Python scripts refuse, and where they say that it is.

import { describe, expect, test } from 'vitest';
import { InputError } from '../../../kernel/errors.ts';
import { newPython } from '../../../tools/alloc-python.ts';
import { ObjectScript } from '../../../tools/python/object-run.ts';
import { parseObjects } from '../../../tools/python/object-script.ts';
import { parseRaw } from '../../../tools/python/raw.ts';
import { streamHeader } from '../../../tools/python/stream.ts';

describe('raw scripts', () => {
  test.each([
    ['a = malloc(', 't:1:12'],
    ['a = malloc(12', 't:1:14'],
    ['a = malloc(12) x', 't:1:16'],
    ['a = alloc(12)', 't:1:5'],
    ['free(a)', 't:1:6'],
    ['a = malloc(1)\na = malloc(2)', 't:2:1'],
    ['stats()\narenas(offset=4K)', 't:2:1'],
    ['arenas(offset=5K)', 't:1:15'],
    ['a[0..3:0] = malloc(1)', 't:1:8'],
    ['a[0..3] = malloc(1)\nb[0..1] = realloc(a[0..3], 2)', 't:2:19'],
    ['NULL = malloc(1)', 't:1:1'],
  ])('%j is refused at %s', (text, where) => {
    expect(() => parseRaw('t', text)).toThrow(InputError);
    expect(() => parseRaw('t', text)).toThrow(where);
  });

  test('numbers, ranges and comments are read', () => {
    const [a, b] = parseRaw('t', '# topic: x\na[9..0:3] = calloc(0x10, 2K) # why\n\nfree(a[9])');
    expect(a).toMatchObject({ line: 2, call: 'calloc', count: 16, bytes: 2048 });
    expect([...(a.name?.indices ?? [])]).toEqual([9, 6, 3, 0]);
    expect(b).toMatchObject({ line: 4, call: 'free' });
  });
});

describe('object scripts', () => {
  test.each([
    ['x =', 't:1:4'],
    ['x = list(', 't:1:10'],
    ['x = frob(1)', 't:1:10'],
    ['x.frob(1)', 't:1:3'],
    ['x@0..3.a = y@0..4', 't:1:12'],
    ['collect(3)', 't:1:9'],
    ['x = instance(slot=3)', 't:1:14'],
    ['x = "abc', 't:1:5'],
    ['x = str(3, utf8)', 't:1:16'],
    ['fill(x, 1)', 't:1:10'],
    ['del', 't:1:4'],
  ])('%j is refused at %s', (text, where) => {
    expect(() => parseObjects('t', text)).toThrow(InputError);
    expect(() => parseObjects('t', text)).toThrow(where);
  });

  test('a name that is bound to nothing ends a script where it stands', () => {
    const seen: object[] = [];
    const script = new ObjectScript('t', newPython('3.11'));
    const run = (): void =>
      script.run(parseObjects('t', 'x = list()\ny = x[z]\nx = 1'), (o) => seen.push(o));
    expect(run).toThrow('t:2:7: z is bound to nothing');
    expect(seen).toHaveLength(1);
  });
});

describe('streams', () => {
  test.each([[''], ['{}\n'], ['nonsense\n'], ['{"format":"pymem-stream-2","mallocs":1}\n']])(
    'a header of %j is refused',
    (text) => {
      expect(() => streamHeader('t', new TextEncoder().encode(text))).toThrow(InputError);
    },
  );
});
