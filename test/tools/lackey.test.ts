// Lackey text: counts against a slow and obvious model, and against the real counts.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import seedrandom from 'seedrandom';
import { afterAll, describe, expect, test } from 'vitest';
import { openInput } from '../../tools/input.ts';
import { parseTlb, replayLackey, tlbKey, type LackeyCounts } from '../../tools/lackey-replay.ts';
import { scratch, writeText } from '../support/cli.ts';

const [folder, remove] = scratch();
afterAll(remove);

const SHAPES = ['1', '4', '64', '1x1', '16x4', '4x2', '3x5'].map(parseTlb);

interface Reference {
  readonly kind: 'I' | 'L' | 'S' | 'M';
  readonly address: bigint;
  readonly size: number;
}

/** Misses of an LRU TLB, with one array a set: newest first. */
function slowMisses(pages: readonly bigint[], sets: number, ways: number): number {
  const lists = Array.from({ length: sets }, (): bigint[] => []);
  let misses = 0;
  for (const page of pages) {
    const list = lists[Number(page % BigInt(sets))];
    const at = list.indexOf(page);
    if (at >= 0) list.splice(at, 1);
    else {
      misses++;
      if (list.length === ways) list.pop();
    }
    list.unshift(page);
  }
  return misses;
}

function slowCounts(refs: readonly Reference[]): Partial<LackeyCounts> {
  const pages = refs.flatMap(({ address, size }) => {
    const first = address >> 12n;
    const last = BigInt.asUintN(64, address + BigInt(size) - 1n) >> 12n;
    return first === last ? [first] : [first, last];
  });
  const count = (kind: string): number => refs.filter((r) => r.kind === kind).length;
  return {
    refs: { I: count('I'), L: count('L'), S: count('S'), M: count('M'), total: refs.length },
    refs_in_two_pages: pages.length - refs.length,
    page_refs: pages.length,
    pages_4k: new Set(pages).size,
    regions_2m: new Set(pages.map((p) => p >> 9n)).size,
    tlb_misses: Object.fromEntries(
      SHAPES.map((s) => [tlbKey(s), slowMisses(pages, s.sets, s.ways)]),
    ),
  };
}

const BASES = [0x0401_0000n, 0x1f_ff00_0000n, 0xffff_8880_0000_0000n, 0xffff_f000n, 0n];

function randomRefs(seed: string, n: number): Reference[] {
  const random = seedrandom.alea(seed);
  return Array.from({ length: n }, () => ({
    kind: 'ILSM'[Math.floor(random() * 4)] as Reference['kind'],
    address:
      BASES[Math.floor(random() * BASES.length)] + BigInt(Math.floor(random() ** 3 * 400_000)),
    size: [1, 2, 4, 8, 16, 32][Math.floor(random() * 6)],
  }));
}

function asText(refs: readonly Reference[]): string {
  const line = (r: Reference): string =>
    `${r.kind === 'I' ? 'I ' : ` ${r.kind}`} ${r.address.toString(16).padStart(8, '0')},${r.size}`;
  const body = refs.map(line).join('\n');
  return `==1== Lackey\n${body}\nSYSCALL[1,1](12) sys_brk ( 0x0 )\n==1== end\n`;
}

describe('counts', () => {
  test.each(['a', 'b', 'c', 'd'])('equal those of the obvious model, seed %s', async (seed) => {
    const refs = randomRefs(seed, 5000);
    const path = writeText(folder, `r-${seed}.gz`, asText(refs));
    const counts = await replayLackey(openInput(path), SHAPES);
    expect(counts).toMatchObject(slowCounts(refs));
    expect(counts).toMatchObject({ lines: 5003, syscall_lines: 1, other_lines: 2 });
  });

  test('hold over chunks that end inside a line', async () => {
    const refs = randomRefs('chunks', 120_000); // some 2 MB: more than one chunk
    const counts = await replayLackey(openInput(writeText(folder, 'big', asText(refs))), SHAPES);
    expect(counts.refs.total).toBe(120_000);
    expect(counts.pages_4k).toBe(slowCounts(refs).pages_4k);
  });

  test('a line without newline at the end counts', async () => {
    const path = writeText(folder, 'open-end', 'I  00001000,4\n S 00001ffe,4');
    const counts = await replayLackey(openInput(path), []);
    expect(counts).toMatchObject({ lines: 2, page_refs: 3, pages_4k: 2, refs_in_two_pages: 1 });
  });
});

/** NAME.counts.json beside NAME.lackey.gz: what a real trace holds. */
const suite =
  process.env['PAGEWALK_CONFORMANCE_LACKEY'] ??
  fileURLToPath(new URL('../../tools/examples/', import.meta.url));

describe('real traces', () => {
  const names = readdirSync(suite).filter((f) => f.endsWith('.counts.json'));
  test.each(names)('%s', async (name) => {
    const want = JSON.parse(readFileSync(join(suite, name), 'utf8')) as LackeyCounts;
    const path = join(suite, name.replace('.counts.json', '.lackey.gz'));
    const counts = await replayLackey(openInput(path), [parseTlb('64'), parseTlb('16x4')]);
    expect(want).toMatchObject(counts);
  });
});
