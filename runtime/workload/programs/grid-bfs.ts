// A grid with walls, searched from a corner, breadth first: rows of rows, and a queue of tuples.

import { type Heap, newRandom, type Ref } from '../heap.ts';

const STEPS = [
  [1, 0],
  [-1, 0],
  [0, 1],
  [0, -1],
] as const;

export function gridBfs(h: Heap, scale: number): string {
  const rnd = newRandom();
  const n = Math.max(8, Math.round(300 * Math.sqrt(scale)));
  const bools = h.list('bool');
  const walls = h.list(bools);
  const ints = h.list('int32');
  const rows = h.list(ints);
  const cell = h.tuple('int', 'int', 'int');
  const cells = h.deque(cell);

  /** Go makes a row of its length, Python appends to an empty one. */
  const wall = walls.make(n);
  h.loop(n, () => {
    const row = h.runtime === 'go' ? bools.filled(n) : bools.make();
    for (let x = 0; x < n; x++) {
      const isWall = rnd(100) < 25 ? 1 : 0;
      if (h.runtime === 'go') bools.set(row, x, isWall);
      else bools.push(row, isWall);
    }
    walls.push(wall, row);
  });
  const distance = rows.make(n);
  h.loop(n, () => {
    const row = ints.filled(n);
    for (let x = 0; x < n; x++) ints.set(row, x, -1);
    rows.push(distance, row);
  });
  const isFree = (x: number, y: number): boolean =>
    h.scope(() => bools.get(walls.get(wall, y), x) === 0 && ints.get(rows.get(distance, y), x) < 0);
  const reach = (queue: Ref, x: number, y: number, d: number): void => {
    h.scope(() => {
      ints.set(rows.get(distance, y), x, d);
      cells.push(queue, cell.make(x, y, d));
    });
  };

  const queue = cells.make();
  reach(queue, 0, 0, 0);
  let [far, reached] = [0, 0];
  while (cells.length(queue) > 0) {
    h.scope(() => {
      const at = cells.shift(queue);
      const [x, y, d] = [cell.get(at, 0), cell.get(at, 1), cell.get(at, 2)];
      reached++;
      far = Math.max(far, d);
      for (const [dx, dy] of STEPS) {
        const isInside = x + dx >= 0 && y + dy >= 0 && x + dx < n && y + dy < n;
        if (isInside && isFree(x + dx, y + dy)) reach(queue, x + dx, y + dy, d + 1);
      }
    });
  }
  return `${String(reached)} ${String(far)}`;
}
