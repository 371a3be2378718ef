// The set of mappings against a plain sorted list, under random insertions, removals and searches.

import seedrandom from 'seedrandom';
import { expect, test } from 'vitest';
import { below, chance } from '../../kernel/prng.ts';
import { System } from '../../userspace/index.ts';
import { VmaTree } from '../../userspace/vma-tree.ts';
import { Vma } from '../../userspace/vma.ts';

const PAGE = 4096;

/** The highest gap of a sorted list, as the slow way finds it. */
function gapBelow(list: readonly Vma[], low: number, high: number, length: number): number {
  let end = high;
  for (let i = list.length; i >= 0; i--) {
    const upper = i < list.length ? Math.min(end, list[i].start) : end;
    const lower = Math.max(low, i > 0 ? list[i - 1].end : 0);
    if (upper - lower >= length) return upper;
    if (i > 0) end = Math.min(end, list[i - 1].start);
  }
  return -1;
}

test.each([
  [200, 2_000],
  [6_000, 600],
])('%i mappings, %i random steps', (size, steps) => {
  const prng = seedrandom(`tree ${size}`);
  const { mm } = new System({ ram: 64 << 20 }).spawn('x');
  const tree = new VmaTree();
  let list: Vma[] = [];
  const pages = size * 3;
  const insert = (): void => {
    const start = below(prng, pages) * PAGE;
    const end = start + (1 + below(prng, 3)) * PAGE;
    if (tree.overlapping(start, end) !== undefined) return;
    const vma = new Vma(mm, start, end, 0, 0, null);
    tree.insert(vma);
    list = [...list, vma].sort((a, b) => a.start - b.start);
  };
  while (tree.size < size) insert();
  tree.check();
  for (let step = 0; step < steps; step++) {
    if (list.length === 0 || chance(prng, 0.6)) insert();
    else {
      const vma = list[below(prng, list.length)];
      tree.remove(vma);
      list = list.filter((v) => v !== vma);
    }
    const at = below(prng, pages) * PAGE;
    expect(tree.find(at)).toBe(list.find((v) => v.end > at));
    expect(tree.before(at)).toBe(list.filter((v) => v.end <= at).at(-1));
    const length = (1 + below(prng, 12)) * PAGE;
    expect(tree.gapBelow(0, at + length, length)).toBe(gapBelow(list, 0, at + length, length));
    if (step % 20 === 0) tree.check();
  }
  expect([...tree]).toEqual(list);
  tree.check();
});
