// Booting large machines, and what the host pays for them: each in a process of its own.

import { execFileSync } from 'node:child_process';
import type { FigureCase } from './bench.ts';

interface Boot {
  readonly ms: number;
  readonly bytes: number;
  readonly perFrame: number;
}

const RUNS = 5;
const BOOTED = new Map<number, Boot>();

/** Best of some processes that boot so many GiB of RAM, and then write to 4096 scattered frames. */
function boot(gib: number): Boot {
  const known = BOOTED.get(gib);
  if (known !== undefined) return known;
  const machine = new URL('../../kernel/machine.js', import.meta.url).href;
  const program = `
    const { Machine } = await import(${JSON.stringify(machine)});
    gc();
    const before = process.memoryUsage.rss();
    const start = performance.now();
    const machine = new Machine({ ram: ${gib} * 2 ** 30 });
    const ms = performance.now() - start;
    gc();
    const bytes = process.memoryUsage.rss() - before;
    const frames = 4096;
    const step = Math.floor((machine.mem.nrFrames - 2 ** 16) / frames);
    const { mem } = machine;
    for (let i = 0; i < frames; i++) mem.words[mem.writable(2 ** 16 + i * step)] = 1;
    const perFrame = (process.memoryUsage.rss() - before - bytes) / frames;
    console.log(JSON.stringify({ ms, bytes, perFrame }));`;
  const args = ['--expose-gc', '--input-type=module', '--eval', program];
  const boots = Array.from({ length: RUNS }, () => {
    const text = execFileSync(process.execPath, args, { encoding: 'utf8' });
    return JSON.parse(text) as Boot;
  });
  const best = (of: (b: Boot) => number): number => Math.min(...boots.map(of));
  const result = {
    ms: best((b) => b.ms),
    bytes: best((b) => b.bytes),
    perFrame: best((b) => b.perFrame),
  };
  BOOTED.set(gib, result);
  return result;
}

const mib = (bytes: number): number => bytes / 2 ** 20;

export const figures: readonly FigureCase[] = [
  {
    name: 'boot.64g',
    what: 'boot of 64 GiB, after node has started',
    unit: 'ms',
    goal: 25,
    stretch: 10,
    measure: () => Promise.resolve(boot(64).ms),
  },
  {
    name: 'boot.1t',
    what: 'boot of 1 TiB',
    unit: 'ms',
    goal: 80,
    stretch: 30,
    measure: () => Promise.resolve(boot(1024).ms),
  },
  {
    name: 'memory.64g',
    what: 'host memory of a booted, idle machine of 64 GiB',
    unit: 'MiB',
    goal: 16,
    stretch: 8,
    measure: () => Promise.resolve(mib(boot(64).bytes)),
  },
  {
    name: 'memory.1t',
    what: 'host memory of a booted, idle machine of 1 TiB',
    unit: 'MiB',
    goal: 48,
    stretch: 16,
    measure: () => Promise.resolve(mib(boot(1024).bytes)),
  },
  {
    name: 'memory.frame',
    what: 'host memory of a scattered frame, its 4 KiB included',
    unit: 'KiB',
    goal: 16,
    stretch: 12,
    measure: () => Promise.resolve(boot(64).perFrame / 1024),
  },
];
