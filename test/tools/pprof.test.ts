// The heap profile for pprof: its rows are MemStats' figures, and the real tool reads it.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readMemStats } from '../../runtime/go/mstats.ts';
import { goProfiles } from '../../runtime/go/profile.ts';
import { GoRuntime } from '../../runtime/go/runtime.ts';
import { heapProfile, heapSamples } from '../../tools/pprof.ts';
import { FlatMemory } from '../support/flat-memory.ts';

function someHeap(profile = goProfiles[2]): GoRuntime {
  const memory = new FlatMemory({ capacityBytes: 128 << 20 });
  const go = new GoRuntime(memory, { profile, gcPercent: -1 });
  for (let i = 0; i < 1000; i++) {
    const at = go.new(48);
    if (i % 4 === 0) go.storePointer(go.newGlobal(), at);
  }
  go.storePointer(go.newGlobal(), go.new(100_000));
  go.new(200_000);
  go.collect();
  for (let i = 0; i < 10; i++) go.storePointer(go.newGlobal(), go.new(2048));
  return go;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

test.each(goProfiles)('$name: rows add up to MemStats', (profile) => {
  const go = someHeap(profile);
  const rows = heapSamples(go);
  const m = readMemStats(go);
  expect(sum(rows.map((r) => r.allocObjects))).toBe(m.Mallocs);
  expect(sum(rows.map((r) => r.allocBytes))).toBe(m.TotalAlloc);
  expect(sum(rows.map((r) => r.inuseObjects))).toBe(m.HeapObjects);
  expect(sum(rows.map((r) => r.inuseBytes))).toBe(m.HeapAlloc);
  const row = rows.find((r) => r.bytes === 48);
  expect([row?.allocObjects, row?.inuseObjects]).toEqual([1000, 250]);
});

test('the strings of the profile are there, the first of them empty', () => {
  const bytes = gunzipSync(heapProfile(someHeap()));
  const text = Buffer.from(bytes).toString('latin1');
  for (const word of ['inuse_space', 'alloc_objects', '2048 bytes', 'large objects'])
    expect(text).toContain(word);
  expect(bytes.indexOf(Buffer.from([0x32, 0x00]))).toBeGreaterThan(0);
});

const hasGo = spawnSync('go', ['tool', '-n', 'pprof']).status === 0;

test.runIf(hasGo)('go tool pprof reads it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pprof-'));
  try {
    const file = join(dir, 'heap.pb.gz');
    writeFileSync(file, heapProfile(someHeap()));
    const args = ['tool', 'pprof', '-top', '-sample_index=inuse_objects', file];
    const top = execFileSync('go', args, { encoding: 'utf8' });
    expect(top).toMatch(/Type: inuse_objects/);
    expect(top).toMatch(/^\s*250 .* 48 bytes$/m);
    expect(top).toMatch(/^\s*10 .* 2048 bytes$/m);
    const tags = execFileSync('go', ['tool', 'pprof', '-tags', file], { encoding: 'utf8' });
    expect(tags).toMatch(/48B/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
