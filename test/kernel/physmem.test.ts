import { expect, test } from 'vitest';
import { PhysMem } from '../../kernel/physmem.ts';

test('a frame never written reads as zeros and is not stored', () => {
  const mem = new PhysMem(2 ** 28); // 1 TiB
  expect(mem.readByte(2 ** 28 - 1, 4095)).toBe(0);
  expect(mem.touchedFrames).toBe(0);
  mem.writeByte(2 ** 28 - 1, 4095, 7);
  expect(mem.readByte(2 ** 28 - 1, 4095)).toBe(7);
  expect(mem.touchedFrames).toBe(1);
});

test('frames are copied and cleared, untouched ones without being stored', () => {
  const mem = new PhysMem(16);
  mem.fillFrame(3, 0xab);
  mem.copyFrame(4, 3);
  expect(mem.readByte(4, 4095)).toBe(0xab);
  mem.copyFrame(3, 9); // frame 9 was never written
  expect(mem.readByte(3, 0)).toBe(0);
  mem.copyFrame(10, 9);
  mem.zeroFrame(11);
  expect(mem.touchedFrames).toBe(2);
  mem.check();
});
