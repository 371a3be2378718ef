// The tables of size classes: against what real runtimes gave, and proved from their rules.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { findGoProfile, go19, goProfiles } from '../../../runtime/go/profile.ts';
import { GoRuntime } from '../../../runtime/go/runtime.ts';
import { NO_POINTERS } from '../../../runtime/go/types.ts';
import { divMagic, makeClasses, prove } from '../../../tools/mksizeclasses.ts';
import { FlatMemory } from '../../support/flat-memory.ts';

type Row = Record<string, number | boolean>;

function recorded(go: string): Row[] {
  const file = new URL(`../../conformance/go/${go}/sizeclasses.jsonl`, import.meta.url);
  const lines = readFileSync(fileURLToPath(file), 'utf8').split('\n');
  return lines.filter((l) => l !== '').map((l) => JSON.parse(l) as Row);
}

test.each(['go1.19', 'go1.26'])('%s: which size goes where, and what a span holds', (name) => {
  const profile = findGoProfile(name);
  if (profile === undefined) throw new Error(name);
  const go = new GoRuntime(new FlatMemory(), { profile, gcPercent: -1 });
  const { heap } = go;
  for (const row of recorded(name)) {
    const noscan = row['noscan'] === true;
    if ('from' in row) {
      for (const bytes of [Number(row['from']), Number(row['to'])]) {
        const type = noscan ? NO_POINTERS : go.types.leading(bytes, bytes / 8);
        go.new(bytes, type);
        const s = go.malloc.lastSpan;
        const got = {
          elem: heap.spans.elemsize[s],
          class: heap.spans.spanclass[s] >> 1,
          noscan: (heap.spans.spanclass[s] & 1) !== 0,
        };
        const what = `${String(bytes)} bytes`;
        const { elem, class: sizeclass } = row;
        expect(got, what).toEqual({ elem, class: sizeclass, noscan });
      }
      continue;
    }
    const spc = Number(row['class']) * 2 + (noscan ? 1 : 0);
    const npages = profile.classes.pages[spc >> 1];
    const size = profile.classes.size[spc >> 1];
    const slots = Math.floor((npages * 8192 - heap.reserved(spc, npages * 8192)) / size);
    expect({ elem: size, npages, nelems: slots, tail: npages * 8192 - slots * size }).toEqual({
      elem: row['elem'],
      npages: row['npages'],
      nelems: row['nelems'],
      tail: row['tail'],
    });
  }
});

test('the generated tables are what the rules give, and prove themselves', () => {
  for (const profile of goProfiles) {
    const classes = makeClasses(profile === go19 ? 16 : 32);
    expect([...profile.classes.size]).toEqual(classes.map((c) => c.size));
    expect([...profile.classes.pages]).toEqual(classes.map((c) => c.pages));
    expect([...profile.classes.divMagic]).toEqual(classes.map((c) => divMagic(c.size)));
  }
  const few = makeClasses(32).filter((c) => c.size >= 24576 || c.size === 0);
  expect(() => {
    prove(few); // most requests have a smaller class than these
  }).not.toThrow();
  expect(() => {
    prove([
      { size: 0, pages: 0 },
      { size: 8, pages: 1 },
    ]);
  }).toThrow('class of 9 bytes');
});

test('go1.9: 66 small classes without 24 bytes; class 10: 144 bytes, 56 a page, 128 left', () => {
  const { classes } = go19;
  expect(classes.count).toBe(67);
  expect(classes.size.slice(0, 8)).toEqual(Int32Array.of(0, 8, 16, 32, 48, 64, 80, 96));
  expect(classes.size[66]).toBe(32768);
  expect([classes.size[10], classes.pages[10] * 8192]).toEqual([144, 8192]);
  expect([Math.floor(8192 / 144), 8192 % 144]).toEqual([56, 128]);
});
