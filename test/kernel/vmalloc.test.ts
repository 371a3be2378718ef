import { describe, expect, test } from 'vitest';
import { PAGE_OFFSET } from '../../kernel/kaddr.ts';
import { Machine } from '../../kernel/machine.ts';
import { procVmallocinfo } from '../../kernel/proc-kernel.ts';
import { PAGE_SIZE, type PhysAddr } from '../../kernel/types.ts';
import { THREAD_SIZE, VMALLOC_START } from '../../kernel/vmalloc.ts';
import { peekWalk } from '../../kernel/walker.ts';

const fresh = (): Machine => new Machine({ ram: 2 ** 28, cpus: 1 });

describe('vmalloc', () => {
  test('areas are mapped in the kernel’s tables, page by page, with a hole behind each', () => {
    const machine = fresh();
    const { vmalloc, mem, kernelRoot } = machine;
    const a = vmalloc.vmalloc(3 * PAGE_SIZE, 'a');
    const b = vmalloc.vmalloc(1, 'b');
    expect(a).toBe(VMALLOC_START);
    expect(b).toBe(a + 4 * PAGE_SIZE);
    const frames = [0, 1, 2].map((i) => peekWalk(mem, kernelRoot, a + i * PAGE_SIZE));
    expect(new Set(frames).size).toBe(3);
    for (const phys of frames) expect(phys).toBeGreaterThan(0);
    expect(peekWalk(mem, kernelRoot, a + 3 * PAGE_SIZE)).toBe(-1);
    // the same bytes through the direct map
    mem.writeByte(Math.floor((frames[1] ?? 0) / PAGE_SIZE), 5, 77);
    const direct = peekWalk(mem, kernelRoot, PAGE_OFFSET + (frames[1] ?? 0) + 5);
    expect(direct).toBe((frames[1] ?? 0) + 5);
    vmalloc.check();
  });

  test('a freed place is used again, and its pages are free', () => {
    const machine = fresh();
    const { alloc, vmalloc } = machine;
    const keep = vmalloc.vmalloc(PAGE_SIZE, 'keep');
    alloc.drainAll();
    const free = alloc.freePages;
    const a = vmalloc.vmalloc(10 * PAGE_SIZE, 'a');
    const b = vmalloc.vmalloc(10 * PAGE_SIZE, 'b');
    vmalloc.vfree(a);
    expect(vmalloc.vmalloc(10 * PAGE_SIZE, 'c')).toBe(a);
    vmalloc.vfree(a);
    vmalloc.vfree(b);
    alloc.drainAll();
    expect(alloc.freePages).toBe(free);
    expect(vmalloc.areaOf(keep)?.caller).toBe('keep');
    expect(() => vmalloc.vfree(a)).toThrow('no area starts');
  });

  test('kernel stacks are 16 KiB, aligned, and two wait for the next task', () => {
    const { vmalloc } = fresh();
    const stacks = [1, 2, 3].map(() => vmalloc.allocStack());
    for (const stack of stacks) expect(stack % THREAD_SIZE).toBe(-0);
    expect(vmalloc.stackPages).toBe(12);
    for (const stack of stacks) vmalloc.freeStack(stack);
    expect(vmalloc.stackPages).toBe(0);
    expect(vmalloc.nrPages).toBe(8); // the two that wait
    expect(vmalloc.allocStack()).toBe(stacks[1]);
    vmalloc.check();
  });

  test('vmallocinfo shows areas as the kernel does', () => {
    const { vmalloc } = fresh();
    vmalloc.vmalloc(8192, 'alloc_large_system_hash');
    vmalloc.ioremap(0xfed00000 as PhysAddr, 4096, 'hpet_enable');
    expect(procVmallocinfo(vmalloc).split('\n')).toEqual([
      '0xffffc90000000000-0xffffc90000003000   12288 alloc_large_system_hash pages=2 vmalloc',
      '0xffffc90000003000-0xffffc90000005000    8192 hpet_enable phys=0x00000000fed00000 ioremap',
      '',
    ]);
  });
});
