// Whole Go programs: the system calls of a start, the figures they end with, MemStats' identities.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { bootProgram } from '../../../runtime/go/boot.ts';
import { checkMemStats, readMemStats, readMetrics } from '../../../runtime/go/mstats.ts';
import { findGoProfile } from '../../../runtime/go/profile.ts';
import { GoProgram, Lcg } from '../../../runtime/go/program.ts';
import { binarytrees } from '../../../runtime/go/programs/binarytrees.ts';
import { grow300 } from '../../../runtime/go/programs/grow300.ts';
import { lru } from '../../../runtime/go/programs/lru.ts';
import { matrix } from '../../../runtime/go/programs/matrix.ts';
import { wordcount } from '../../../runtime/go/programs/wordcount.ts';
import { GoRuntime } from '../../../runtime/go/runtime.ts';
import { newProcess, ProcessMemory } from '../../../runtime/process-memory.ts';
import { System } from '../../../userspace/system.ts';

function newRuntime(name: string, procs = 1, calls: string[] = []): GoRuntime {
  const system = new System({ ram: 2 ** 31 });
  const memory = new ProcessMemory(system, newProcess(system, 'go'));
  const profile = findGoProfile(name);
  if (profile === undefined) throw new Error(name);
  return new GoRuntime(memory, { profile, procs, onCall: (line) => calls.push(line) });
}

/** The calls of a recording, without thread names, comments and marks. */
function recorded(file: string): string[] {
  const path = new URL(`../../conformance/go/${file}`, import.meta.url);
  const lines = readFileSync(fileURLToPath(path), 'utf8').split('\n');
  return lines.filter((l) => /^t\d /.test(l)).map((l) => l.replace(/^t\d /, ''));
}

describe('system calls are those of the real runtime: calls, order, addresses, sizes', () => {
  test.each(['go1.19', 'go1.26'])('hello, %s', (name) => {
    const calls: string[] = [];
    bootProgram(newRuntime(name, 1, calls));
    expect(calls).toEqual(recorded(`strace-hello-${name}.txt`));
  });

  test('growing to 300 MiB and giving it back, go1.19', () => {
    const calls: string[] = [];
    const go = newRuntime('go1.19', 1, calls);
    const prog = new GoProgram(go);
    go.gc.stopTheWorld = true;
    grow300(prog);
    expect(calls).toEqual(recorded('strace-grow300-go1.19.txt'));
  });
});

test('the generator is the one that the Go programs use', () => {
  // r := rng(42): state * 6364136223846793005 + 1442695040888963407, shifted right by 33.
  const random = new Lcg(42);
  let state = 42n;
  for (let i = 0; i < 1000; i++) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    expect(random.next()).toBe(Number(state >> 33n));
  }
});

/** Nodes of the trees that the program makes. */
function nodesOf(max: number): number {
  let n = 2 ** (max + 2) - 1 + (2 ** (max + 1) - 1);
  for (let d = 4; d <= max; d += 4) n += 2 ** (max - d + 4) * (2 ** (d + 1) - 1);
  return n;
}

describe.each(['go1.9', 'go1.19', 'go1.26'])('%s', (name) => {
  test.each([1, 2])('binary trees with %i processors', (procs) => {
    const go = newRuntime(name, procs);
    const prog = new GoProgram(go);
    const before = readMemStats(go);
    binarytrees(prog, 10);
    const after = readMemStats(go);
    checkMemStats(go, after);
    expect(after.Mallocs - before.Mallocs).toBe(nodesOf(10));
    expect(after.TotalAlloc - before.TotalAlloc).toBe(nodesOf(10) * 16);
    go.heap.check(go.procs);
  });

  test('matrices, words and a cache: identities hold, collections are told', () => {
    const go = newRuntime(name);
    const prog = new GoProgram(go);
    matrix(prog, 60);
    wordcount(prog, 8000);
    lru(prog, 8000);
    go.collect();
    const m = readMemStats(go);
    checkMemStats(go, m);
    go.heap.check(go.procs);
    expect(m.NumGC).toBe(prog.trace.length);
    expect(m.NumForcedGC).toBe(1);
    for (const line of prog.trace)
      expect(line).toMatch(
        /^gc \d+ @\d+\.\d{3}s \d+%: [\d.]+\+[\d.]+\+[\d.]+ ms clock, [\d.]+\+[\d.]+\/[\d.]+\/[\d.]+\+[\d.]+ ms cpu, \d+->\d+->\d+ MB, \d+ MB goal, \d+ MB stacks, \d+ MB globals, 1 P( \(forced\))?$/,
      );
    const metrics = readMetrics(go);
    const classes = Object.keys(metrics).filter((k) => k.startsWith('/memory/classes/'));
    const parts = classes.filter((k) => !k.includes('/total:'));
    const sum = parts.reduce((total, k) => total + (metrics[k] ?? NaN), 0);
    expect(sum).toBe(metrics['/memory/classes/total:bytes']);
  });
});
