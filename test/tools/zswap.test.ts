// The compressed pool in front of swap: real bytes, made smaller by a library, none lost.

import seedrandom from 'seedrandom';
import { expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { deflate } from '../../tools/zswap.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { System, Syscalls, access, byteAt } from '../../userspace/index.ts';
import { procMeminfo, procVmstat } from '../../userspace/proc-memory.ts';
import { type Swap, addSwap } from '../../userspace/swap.ts';
import { pagewalk, scratch, writeText } from '../support/cli.ts';

const PAGE = 4096;
const M = 1 << 20;
const BASE = 0x10000000;

/** A page of bytes of which about `entropy` parts of 8 are drawn, the others the same. */
function pageOf(seed: string, entropy: number): Uint8Array {
  const prng = seedrandom(seed);
  return Uint8Array.from({ length: PAGE }, (_, i) =>
    i % 8 < entropy ? Math.floor(prng() * 256) : 7,
  );
}

test.each([0, 1, 4, 8])('a page comes back as it was, %i of 8 bytes drawn', (entropy) => {
  const page = pageOf(`a${entropy}`, entropy);
  const packed = deflate.compress(page);
  const back = new Uint8Array(PAGE).fill(99);
  deflate.decompress(packed, back);
  expect(back).toEqual(page);
  if (entropy === 0) expect(packed.length).toBeLessThan(200);
  if (entropy < 8) expect(packed.length).toBeLessThan(PAGE);
});

test('more than the pool may hold: the longest-stored go to the device, nothing is lost', () => {
  const system = new System({ ram: 128 * M, sysctl: { thp: 'never' } });
  addSwap(system, 64 * M);
  const pool = (system.swap as Swap).usePool({ compressor: deflate, maxPoolPercent: 2 });
  system.newGroup('/limit', 4 * M);
  const task = system.spawn('zswap');
  new Syscalls(system).mmap(task, BASE, 16 * M, 3, 0x32, -1, 0);
  const { mem } = system.machine;
  const pages = Array.from({ length: 64 }, (_, i) => pageOf(`p${i}`, i % 9));
  const nr = (12 * M) / PAGE;
  const bytesAt = (i: number): number => {
    const va = BASE + i * PAGE;
    if (access(task, va, PF_USER | PF_WRITE) !== 0) throw new Error('no write');
    return byteAt(task.mm, va);
  };
  for (let i = 0; i < nr; i++) {
    const at = bytesAt(i);
    mem.bytes.set(pages[i % 64], at);
    mem.bytes[at] = i & 255;
  }
  // backwards: what was stored last is still in the pool
  let wrong = 0;
  for (let i = nr - 1; i >= 0; i--) {
    const at = bytesAt(i);
    const wanted = pages[i % 64].subarray(1);
    if (mem.bytes[at] !== (i & 255)) wrong++;
    else if (Buffer.compare(mem.bytes.subarray(at + 1, at + PAGE), wanted) !== 0) wrong++;
  }
  expect(wrong).toBe(0);
  fsckSystem(system);
  system.swap!.check();
  const row = (text: string, name: string): number =>
    Number(new RegExp(`^${name}:? +(\\d+)`, 'm').exec(text)?.[1]);
  const vmstat = procVmstat(system);
  for (const name of ['zswpin', 'zswpout', 'zswpwb', 'pswpout', 'pswpin']) {
    expect([name, row(vmstat, name) > 0]).toEqual([name, true]);
  }
  expect(row(vmstat, 'pswpout')).toBeGreaterThanOrEqual(row(vmstat, 'zswpwb'));
  const meminfo = procMeminfo(system);
  expect(row(meminfo, 'Zswap')).toBe(pool.poolPages * 4);
  expect(row(meminfo, 'Zswapped')).toBe(pool.storedPages * 4);
  expect(pool.storedPages).toBeGreaterThan(pool.poolPages); // smaller than it was
  system.exit(task);
  expect(pool.poolPages).toBe(0);
});

test('run --zswap: the same observations, and without swap an error', () => {
  const [folder, remove] = scratch();
  const text = `machine(ram=64M, swap=64M, limit=4M)
a = mmap(NULL, 8M, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)
store(a, 8M)
poke(a + 12K, 200)
load(a, 8M)
peek(a + 12K)
usage()
`;
  const file = writeText(folder, 'z.scn', text);
  const plain = pagewalk('run', '--json', file);
  const zswap = pagewalk('run', '--json', '--fsck', '--zswap', file);
  expect(plain.code).toBe(0);
  expect(zswap).toEqual({ code: 0, err: '', out: plain.out });
  expect(plain.out).toContain('"value":200');
  const none = writeText(folder, 'none.scn', text.split('\n').slice(1).join('\n'));
  const refused = pagewalk('run', '--zswap', none);
  expect(refused.code).toBe(2);
  expect(refused.err).toContain('--zswap: needs swap');
  remove();
});
