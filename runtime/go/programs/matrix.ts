// Matrices of floats as slices of rows and as one block: products, transposes, powers. The numbers
// themselves are not computed; what is allocated, when, and what is touched are the program's.

import type { GoProgram } from '../program.ts';

const SLICE_BYTES = 24;
const NS_PER_MUL = 1;

export function matrix(prog: GoProgram, max = 220): void {
  const { mem, types } = prog.go;
  const slice = types.add({ name: '[]float64', bytes: SLICE_BYTES, ptrWords: 1, mask: null });

  const newRows = (n: number): number => {
    const m = prog.push(prog.new(n * SLICE_BYTES, slice));
    for (let i = 0; i < n; i++) {
      const row = prog.new(n * 8);
      for (let at = row; at < row + n * 8; at += 512) mem.store32(at, 1);
      prog.set(prog.slot(m) + i * SLICE_BYTES, row);
    }
    const at = prog.slot(m);
    prog.pop(1);
    return at;
  };

  for (let n = 20; n <= max; n += 40) {
    const a = prog.push(newRows(n));
    prog.work(n * n * 12);
    for (let k = 0; k < 6; k++) {
      prog.push(newRows(n));
      prog.work(n * n);
      prog.setSlot(a, newRows(n));
      prog.pop(1);
      prog.work(n * n * n * NS_PER_MUL + n * n * 2);
    }
    for (let k = 0; k < 20; k++) {
      const b = prog.new(n * n * 8);
      for (let at = b; at < b + n * n * 8; at += 4096) mem.store32(at, 1);
      prog.work(n * n);
    }
    prog.pop(1);
  }
}
