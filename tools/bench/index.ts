// Every benchmark, in the order that `pagewalk bench` runs them. Add a line for a new file.

import * as alloc from './alloc.bench.ts';
import type { BenchCase, FigureCase } from './bench.ts';
import * as boot from './boot.bench.ts';
import * as go from './go.bench.ts';
import * as kernel from './kernel.bench.ts';
import * as lackey from './lackey.bench.ts';
import * as mmu from './mmu.bench.ts';
import * as python from './python.bench.ts';
import * as replace from './replace.bench.ts';

export const cases: readonly BenchCase[] = [
  ...mmu.cases,
  ...kernel.cases,
  ...alloc.cases,
  ...go.cases,
  ...python.cases,
  ...replace.cases,
];
export const figures: readonly FigureCase[] = [...lackey.figures, ...boot.figures];
