// A runtime's door on the real emulated kernel: what it stores goes through page tables and faults.
import { expect, test } from 'vitest';
import { GuestSignal } from '../../runtime/memory.ts';
import { newProcess, ProcessMemory } from '../../runtime/process-memory.ts';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../userspace/mman.ts';
import { System } from '../../userspace/system.ts';

const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;

function makeMemory(): ProcessMemory {
  const system = new System({ ram: 256 << 20 });
  return new ProcessMemory(system, newProcess(system, 'test'));
}

test('maps where Linux maps for a static program', () => {
  const memory = makeMemory();
  expect(memory.mmap(0, 262144, RW, ANON)).toBe(0x7ffff7fb7000);
  expect(memory.mmap(0, 131072, PROT_NONE, ANON)).toBe(0x7ffff7f97000);
  expect(memory.mmap(0, 1048576, PROT_NONE, ANON)).toBe(0x7ffff7e97000);
  expect(memory.mmap(0, 8388608, PROT_NONE, ANON)).toBe(0x7ffff7600000);
  expect(memory.mmap(0xc000000000, 67108864, PROT_NONE, ANON)).toBe(0xc000000000);
});

test('one fault a page; a discarded page reads zero; a refused access is a signal', () => {
  const memory = makeMemory();
  const at = memory.mmap(0xc000000000, 0x4000, PROT_NONE, ANON);
  expect(() => memory.load8(at)).toThrow(GuestSignal);
  memory.mmap(at, 0x3000, RW, ANON | MAP_FIXED);
  const before = memory.task.minflt;
  expect(memory.load64(at + 8)).toBe(0);
  memory.store64(at + 8, 0x7fff12345678);
  memory.store64(at + 0x1000, -5);
  memory.store32(at + 0x1008, 9);
  expect(memory.task.minflt - before).toBe(3); // zero page, its copy, a fresh page
  memory.copy(at + 0xffc, at + 8, 8);
  expect(memory.load32(at + 0x1000)).toBe(0x7fff);
  expect(memory.load64(at + 8)).toBe(0x7fff12345678);
  memory.madvise(at, 0x1000, MADV_DONTNEED);
  expect(memory.load64(at + 8)).toBe(0);
  expect(() => memory.store8(at + 0x3000, 1)).toThrow(GuestSignal);
});

test('copy moves overlapping ranges either way', () => {
  const memory = makeMemory();
  const at = memory.mmap(0, 0x4000, RW, ANON);
  for (let i = 0; i < 0x3000; i++) memory.store8(at + i, i % 251);
  memory.copy(at + 100, at, 0x2000);
  for (let i = 0; i < 0x2000; i++) expect(memory.load8(at + 100 + i)).toBe(i % 251);
  memory.copy(at, at + 100, 0x2000);
  for (let i = 0; i < 0x2000; i++) expect(memory.load8(at + i)).toBe(i % 251);
});
