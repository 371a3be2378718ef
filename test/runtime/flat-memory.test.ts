// The test double must behave like a process where a runtime looks: it is checked as such.
import { expect, test } from 'vitest';
import { FlatMemory } from '../support/flat-memory.ts';
import { GuestSignal } from '../../runtime/memory.ts';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../userspace/mman.ts';

const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;

test('places mappings top down, those of whole huge pages aligned to 2 MiB', () => {
  const memory = new FlatMemory({ top: 0x7ffff7ff7000 });
  expect(memory.mmap(0, 262144, RW, ANON)).toBe(0x7ffff7fb7000);
  expect(memory.mmap(0, 131072, PROT_NONE, ANON)).toBe(0x7ffff7f97000);
  expect(memory.mmap(0, 1048576, PROT_NONE, ANON)).toBe(0x7ffff7e97000);
  expect(memory.mmap(0, 8388608, PROT_NONE, ANON)).toBe(0x7ffff7600000);
  expect(memory.mmap(0, 67108864, PROT_NONE, ANON)).toBe(0x7ffff3600000);
  expect(memory.mmap(0xc000000000, 67108864, PROT_NONE, ANON)).toBe(0xc000000000);
  expect(memory.mmap(0, 69648, RW, ANON)).toBe(0x7ffff7e86000 - 0x1000);
  expect(memory.calls['mmap']).toBe(7);
});

test('loads what was stored, refuses what is not mapped, forgets what was discarded', () => {
  const memory = new FlatMemory();
  const at = memory.mmap(0xc000000000, 0x4000, PROT_NONE, ANON);
  expect(() => memory.load8(at)).toThrow(GuestSignal);
  memory.mmap(at + 0x1000, 0x2000, RW, ANON | MAP_FIXED);
  memory.store64(at + 0x1ff8, 0x7fff12345678);
  memory.store8(at + 0x2000, 7);
  memory.copy(at + 0x2ff8, at + 0x1ff8, 8);
  expect(memory.load64(at + 0x2ff8)).toBe(0x7fff12345678);
  expect(memory.load8(at + 0x2000)).toBe(7);
  expect(() => memory.load8(at + 0x3000)).toThrow(GuestSignal);
  memory.madvise(at + 0x1000, 0x1000, MADV_DONTNEED);
  expect(memory.load64(at + 0x1ff8)).toBe(0);
  expect(memory.residentPages).toBe(2);
  memory.munmap(at, 0x4000);
  expect(memory.mappings()).toEqual([]);
  expect(memory.residentPages).toBe(0);
});
