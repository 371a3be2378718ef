// The process in which a scenario starts: a tiny static program, nothing touched but itself.
//
//     0x400000        image, r-x 4 KiB      resident
//     0x410000        image, rw- 192 KiB    resident, written: pages of its own
//     0x440000        the program break
//     0x7ffff7ff7000  [vvar] 4 + 2 pages, [vdso] 2 pages, up to mmap_base
//     0x7ffffffde000  stack, 132 KiB, its top page touched

import { PF_INSTR, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { PAGE_SIZE, type VirtAddr } from '../../kernel/types.ts';
import { access } from '../../userspace/access.ts';
import type { File } from '../../userspace/file.ts';
import { openFile } from '../../userspace/inode-refs.ts';
import { mmapRegion } from '../../userspace/mmap.ts';
import type { Task } from '../../userspace/process.ts';
import type { System } from '../../userspace/system.ts';
import * as vm from '../../userspace/vma.ts';

export const IMAGE_START = 0x400000;
const IMAGE_DATA = 0x410000;
export const BRK0 = 0x440000 as VirtAddr;
export const STACK_PAGE = 0x7fffffffe000 as VirtAddr;
const STACK_START = 0x7ffffffde000;
const STACK_END = 0x7ffffffff000;
const VVAR = 0x7ffff7ff7000;
const VVAR_CLOCK = VVAR + 4 * PAGE_SIZE;
const VDSO = VVAR_CLOCK + 2 * PAGE_SIZE;
const MAY = vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC;

/** Makes the start process. Its fault counters start at 0. */
export function startProcess(system: System): Task {
  const task = system.spawn('scenario');
  const { mm } = task;
  const inode = system.createFile('/image', IMAGE_DATA - IMAGE_START + 0x30000);
  const image = (): File => openFile(system, inode, true, false);
  const rx = vm.VM_READ | vm.VM_EXEC | MAY;
  const rw = vm.VM_READ | vm.VM_WRITE | MAY;
  mmapRegion(mm, image(), IMAGE_START, IMAGE_START + PAGE_SIZE, rx, 0);
  mmapRegion(mm, image(), IMAGE_DATA, BRK0, rw, 1);
  const vvar = vm.VM_READ | vm.VM_MAYREAD | vm.VM_IO | vm.VM_DONTEXPAND | vm.VM_PFNMAP;
  mmapRegion(mm, null, VVAR, VVAR_CLOCK, vvar | vm.VM_DONTDUMP, 0, '[vvar]');
  mmapRegion(mm, null, VVAR_CLOCK, VDSO, vvar | vm.VM_DONTDUMP, 0, '[vvar_vclock]');
  mmapRegion(mm, null, VDSO, VDSO + 2 * PAGE_SIZE, rx | vm.VM_DONTEXPAND, 0, '[vdso]');
  mmapRegion(mm, null, STACK_START, STACK_END, rw | vm.VM_GROWSDOWN, STACK_START / PAGE_SIZE);
  mm.startBrk = mm.brk = BRK0;
  mm.startStack = (STACK_END - 16) as VirtAddr;
  touchImage(task);
  access(task, STACK_PAGE, PF_USER | PF_WRITE);
  task.minflt = 0;
  task.majflt = 0;
  return task;
}

/** Makes the image resident and its data the process's own: at the start and after each fork. */
export function touchImage(task: Task): void {
  access(task, IMAGE_START, PF_USER | PF_INSTR);
  for (let va = IMAGE_DATA; va < BRK0; va += PAGE_SIZE) access(task, va, PF_USER | PF_WRITE);
}
