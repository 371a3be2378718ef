// The userspace layer's public face.
export * from './mman.ts';
export { System, type Sysctl, type SystemConfig } from './system.ts';
export { Syscalls, reg } from './syscall.ts';
export { Task } from './process.ts';
export { layoutOf, type Layout } from './aslr.ts';
export * from './uffd-abi.ts';
export { Userfaultfd, type UffdResult } from './userfaultfd.ts';
export * from './rlimit.ts';
export { Mm } from './mm.ts';
export { Vma, permsOf } from './vma.ts';
export { File, Inode } from './file.ts';
export { access, byteAt, gupWrite } from './access.ts';
