// Random malloc, calloc, realloc and free on this machine's glibc and on ours: every block must lie
// at the same place of the heap, and the heap must be as large after each call.
//
// Runs where gcc is and glibc is 2.36, the version that is modelled; else it says so. PAGEWALK_FUZZ
// is the number of programs, PAGEWALK_SEED the first one's number.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import seedrandom from 'seedrandom';
import { afterAll, describe, expect, test } from 'vitest';
import { CachedMemory } from '../../runtime/cached-memory.ts';
import { Malloc } from '../../runtime/libc/malloc.ts';
import { newProcess, ProcessMemory } from '../../runtime/process-memory.ts';
import { StaticData } from '../../runtime/python/static-data.ts';
import { System } from '../../userspace/system.ts';

type Call = readonly [op: 'm' | 'c' | 'r' | 'f', name: number, bytes: number];

const times = Number(process.env['PAGEWALK_FUZZ'] ?? 10);
const first = Number(process.env['PAGEWALK_SEED'] ?? 1);
const LENGTH = 400;
const source = fileURLToPath(new URL('./libc-runner/malloc.c', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pagewalk-libc-'));
const runner = build();
if (runner === null) console.warn('no fuzzing of malloc: no gcc, or glibc is not 2.36');
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** @returns the program on the real library; null where there is none to compare with. */
function build(): string | null {
  try {
    const version = execFileSync('getconf', ['GNU_LIBC_VERSION']).toString().trim();
    if (version !== 'glibc 2.36') return null;
    const program = join(folder, 'malloc');
    execFileSync('gcc', ['-O1', '-o', program, source], { stdio: 'pipe' });
    return program;
  } catch {
    return null;
  }
}

/** A program of calls: sizes around the limits of bins, of the tcache and of mappings. */
function program(seed: number): Call[] {
  const random = seedrandom(`malloc ${String(seed)}`);
  const below = (n: number): number => Math.floor(random() * n);
  const sizes = [200, 1100, 3000, 20000, 140000, below(2) === 0 ? 500000 : 3000000];
  const size = (): number => below(sizes[Math.min(below(6), below(6))] ?? 1);
  const held: number[] = [];
  const calls: Call[] = [];
  for (let next = 0; calls.length < LENGTH;) {
    const roll = below(100);
    if (held.length === 0 || roll < (held.length > 60 ? 35 : 50)) {
      calls.push([below(8) === 0 ? 'c' : 'm', next, size()]);
      held.push(next++);
    } else if (roll < 62) calls.push(['r', held[below(held.length)] ?? 0, 1 + size()]);
    else {
      const late = held.length - 1 - below(Math.min(3, held.length));
      const at = below(2) === 0 ? late : below(held.length);
      calls.push(['f', held[at] ?? 0, 0]);
      held.splice(at, 1);
    }
  }
  return calls;
}

function real(runner: string, calls: readonly Call[]): string[] {
  const input = calls.map((call) => `${call.join(' ')}\n`).join('');
  return execFileSync(runner, { input }).toString().trimEnd().split('\n');
}

function ours(calls: readonly Call[]): string[] {
  const task = newProcess(new System({ ram: 2 ** 30 }), 'malloc');
  const mem = new CachedMemory(new ProcessMemory(task.mm.system, task));
  const data = new StaticData(mem, 1 << 16);
  const libc = new Malloc(mem, data.variable(Malloc.stateBytes));
  const base = task.mm.startBrk;
  const blocks = new Map<number, number>();
  return calls.map(([op, name, bytes]) => {
    const old = blocks.get(name) ?? 0;
    let p = 0;
    if (op === 'f') libc.free(old);
    else if (op === 'r') p = libc.realloc(old, bytes);
    else p = op === 'c' ? libc.calloc(1, bytes) : libc.malloc(bytes);
    blocks.set(name, p);
    const heap = String(task.mm.brk - base);
    libc.check();
    if (op === 'f') return `freed ${heap}`;
    if (p >= base && p < base + 2 ** 36) return `${String(p - base)} ${heap}`;
    const head = mem.load64(p - 8);
    return `mapped ${String(head - (head & 7) - 16)} ${heap}`;
  });
}

/** The shortest beginning of a program, calls left out one by one, that still differs. */
function shrunk(runner: string, calls: readonly Call[]): Call[] {
  const differs = (some: readonly Call[]): number => {
    const mine = ours(some);
    return real(runner, some).findIndex((line, i) => line !== mine[i]);
  };
  let least = calls.slice(0, differs(calls) + 1);
  for (let i = least.length - 2; i >= 0; i--) {
    const name = least[i]?.[1];
    const isUsed = least.some(([, other], k) => k !== i && other === name);
    const less = least.filter((_, k) => k !== i);
    if (isUsed && least[i]?.[0] !== 'r') continue;
    if (differs(less) >= 0) least = less;
  }
  return least;
}

describe('malloc', () => {
  // Found by this fuzzer: realloc() that moves takes no block from the tcache.
  test('a block that moves is taken past the tcache', () => {
    const calls: Call[] = [
      ['m', 0, 1000],
      ['m', 1, 40],
      ['f', 0, 0],
      ['m', 2, 500],
      ['m', 3, 40],
      ['r', 2, 1000],
    ];
    const seen = ours(calls).map((line) => line.split(' ')[0]);
    // As glibc 2.36 printed it.
    expect(seen).toEqual(['672', '1680', 'freed', '1728', '2240', '2288']);
  });

  test.runIf(runner !== null)(
    'places blocks as this machine’s glibc',
    { timeout: 3_600_000 },
    () => {
      if (runner === null) return;
      for (let seed = first; seed < first + times; seed++) {
        const calls = program(seed);
        const theirs = real(runner, calls);
        const mine = ours(calls);
        if (theirs.every((line, i) => line === mine[i])) continue;
        const few = shrunk(runner, calls);
        const text = few.map((call) => call.join(' ')).join('; ');
        expect(ours(few), `PAGEWALK_SEED=${String(seed)}: ${text}`).toEqual(real(runner, few));
      }
      expect(times).toBeGreaterThan(0);
    },
  );
});
