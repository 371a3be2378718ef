import { describe, expect, test } from 'vitest';
import { fsckKernel } from '../../kernel/fsck.ts';
import { GFP_KERNEL, __GFP_COMP } from '../../kernel/gfp.ts';
import { Machine } from '../../kernel/machine.ts';
import { MIGRATE_MOVABLE } from '../../kernel/migrate_type.ts';
import { PG_buddy } from '../../kernel/page.ts';
import { MAX_ORDER } from '../../kernel/types.ts';

describe('fsck of a machine', () => {
  const fresh = (): Machine => new Machine({ ram: 128 * 2 ** 20, cpus: 2 });

  test('a machine that has just booted is sound, and all of its RAM has an owner', () => {
    const machine = fresh();
    const census = fsckKernel(machine);
    expect(census.used).toBe(0);
    const total = (Object.values(census) as number[]).reduce((a, b) => a + b, 0);
    expect(total).toBe(2 ** 15 - 1 - 96); // page 0, and 640 KiB to 1 MiB
  });

  test('what is allocated is found under its owner', () => {
    const machine = fresh();
    const before = fsckKernel(machine);
    machine.alloc.alloc(GFP_KERNEL | __GFP_COMP, 4);
    machine.slab.cache('task_struct').alloc();
    machine.vmalloc.vmalloc(10_000, 'test');
    const after = fsckKernel(machine);
    expect(after.used).toBe(16);
    expect(after.slab - before.slab).toBe(8);
    expect(after.vmalloc).toBe(3);
  });

  // each line breaks one thing; the check must see it
  test.each<[string, (machine: Machine, pfn: number) => void, RegExp]>([
    ['a frame without an owner', (m, pfn) => m.pages.setRefcount(pfn, 0), /frame \d+ is lost/],
    ['a mark of a free block', (m, pfn) => m.pages.setFlags(pfn, PG_buddy), /./],
    ['a count of free frames', (m) => void (m.alloc.zones[1].buddy.freePages -= 1), /freePages is/],
    ['a per-CPU list', (m) => void (m.alloc.tables.lists.length[20] = 3), /list 20/],
    ['a link of a free list', breakFreeList, /free list \d+: prev of \d+ is/],
    ['a free block that was not merged', splitBlock, /and its buddy are both free/],
    ['a stack of free frames', breakStack, /a CPU's list has PG_pcp/],
    ['a slab free pointer', breakSlab, /free list of slab|pointer is corrupt/],
    ['a guard page', breakGuard, /vmalloc area of test/],
  ])('%s: found', (_, damage, message) => {
    const machine = fresh();
    const pfn = machine.alloc.alloc(GFP_KERNEL, 0);
    machine.slab.cache('kmalloc-64').alloc();
    machine.vmalloc.vmalloc(4096, 'test');
    fsckKernel(machine);
    damage(machine, pfn);
    expect(() => fsckKernel(machine)).toThrow(message);
  });
});

function breakSlab(machine: Machine): void {
  const object = machine.slab.cache('kmalloc-64').alloc();
  machine.slab.cache('kmalloc-64').free(object);
  machine.slab.fill(object + 32, 4, 0x55);
}

function breakGuard(machine: Machine): void {
  const [area] = machine.vmalloc.areas;
  Object.assign(area, { size: area.size - 4096 });
}

/** Lets the second block of the list of 4 MiB blocks forget the first. */
function breakFreeList(machine: Machine): void {
  const { blocks } = machine.alloc.tables;
  const { buddy } = machine.alloc.zones[1];
  const first = buddy.first(MAX_ORDER, MIGRATE_MOVABLE) >> MAX_ORDER;
  const second = blocks.next(first);
  blocks.remove(second);
  blocks.add(second, first, false);
}

/** Frees both halves of a block, without merging. */
function splitBlock(machine: Machine): void {
  const { buddy } = machine.alloc.zones[1];
  const pfn = buddy.take(3, 1);
  buddy.link(pfn, 2, 1, false);
  buddy.link(pfn + 4, 2, 1, false);
}

/** Puts a frame in use on a CPU's list. */
function breakStack(machine: Machine, pfn: number): void {
  const { hot, stacksAt } = machine.alloc.tables;
  machine.alloc.zones[1].pcp[0].forEach((free) => {
    hot[hot.indexOf(free, stacksAt)] = pfn;
  });
}
