// Buffers of many sizes that come and go, a few of them kept, half of each written.

import { type Heap, newRandom } from '../heap.ts';

const KEPT = 32;

export function bufferChurn(h: Heap, scale: number): string {
  const rnd = newRandom();
  const refs = h.list('ref');
  const kept = refs.filled(KEPT);
  let bytes = 0;
  h.loop(3000 * scale, () => {
    const size = 1024 * (1 + rnd(1 << (rnd(8) + 1)));
    const buffer = h.buffer(size);
    h.fill(buffer, 0, size / 2, 0);
    refs.set(kept, rnd(KEPT), buffer);
    bytes += size;
  });
  return String(bytes);
}
