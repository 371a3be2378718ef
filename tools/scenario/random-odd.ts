// Calls with odd arguments, for random scenarios: what real programs never pass, and what the man
// pages' lists of errors are about. Addresses beyond the address space, lengths that wrap round,
// flags that contradict each other: which error comes first is part of what two kernels must agree
// on. Nothing here may fill the host's memory: what is locked or populated is short.

import { chance, pick, type Prng } from '../../kernel/prng.ts';

const ADDRESSES = [
  'NULL',
  '1',
  '4096',
  '0x10000',
  '0x40000000',
  '0x7ffffffff000',
  '0x7fffffffe000',
  '0x7ffffffff001',
  '0x800000000000',
  '0x7fff80000000',
  '0xffff800000000000',
  '0x8000000000000000',
  '-4096',
  '-1',
] as const;
/** None of them covers the program image or the vdso from any address that may be mapped. */
const LENGTHS = [
  '0',
  '1',
  '4095',
  '4K',
  '4097',
  '64K',
  '2M',
  '1G',
  '128T',
  '0x7ffffffff000',
  '0x8000000000000000',
  '0x7ffffffffffff000',
  '-8192',
  '-4096',
  '-4095',
  '-1',
] as const;
const MAP_FLAGS = [
  'MAP_SHARED',
  'MAP_PRIVATE',
  'MAP_SHARED_VALIDATE',
  'MAP_FIXED_NOREPLACE',
  'MAP_ANONYMOUS',
  'MAP_32BIT',
  'MAP_ABOVE4G',
  'MAP_GROWSDOWN',
  'MAP_DENYWRITE',
  'MAP_EXECUTABLE',
  'MAP_NORESERVE',
  'MAP_NONBLOCK',
  'MAP_STACK',
  'MAP_HUGETLB',
  'MAP_SYNC',
  '0x80000000',
] as const;
const PROTS = [
  'PROT_NONE',
  'PROT_READ',
  'PROT_READ|PROT_WRITE',
  'PROT_READ|PROT_EXEC',
  'PROT_READ|PROT_SEM',
  'PROT_READ|PROT_GROWSDOWN',
  'PROT_READ|PROT_GROWSUP',
  'PROT_READ|PROT_GROWSDOWN|PROT_GROWSUP',
  '0x10',
  '-1',
] as const;
/** Advice by number, as wild as is safe: 100 and 101 would poison the host's memory. */
const ADVICE = [
  ...['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '14', '15', '16', '17', '18'],
  ...['19', '20', '22', '24', '25', '26', '99', '102', '103', '104', '-1', '0x100000004'],
] as const;
const MSYNC = ['0', '1', '2', '4', '5', '6', '7', '8', '-1'] as const;
const OPEN = [
  'O_RDONLY',
  'O_WRONLY',
  'O_RDWR',
  'O_RDONLY|O_CREAT',
  'O_WRONLY|O_CREAT',
  'O_RDWR|O_CREAT|O_EXCL',
  'O_RDWR|O_TRUNC',
  'O_WRONLY|O_CREAT|O_TRUNC',
  'O_RDWR|O_CREAT|O_APPEND',
] as const;

/**
 * One statement with at least one odd argument.
 * @param near an address in or near a mapping. @param fd a descriptor, or a wrong one.
 */
export function oddCall(prng: Prng, near: string, fd: string): string {
  const at = chance(prng, 0.5) ? near : pick(prng, ADDRESSES);
  const length = pick(prng, LENGTHS);
  const short = pick(prng, ['0', '1', '4K', '4097', '64K', '-1', '-4096', '0x8000000000000000']);
  switch (pick(prng, KINDS)) {
    case 'mmap': {
      const flags = [...new Set([pick(prng, MAP_FLAGS), pick(prng, MAP_FLAGS), 'MAP_ANONYMOUS'])];
      if (chance(prng, 0.7)) flags.push(chance(prng, 0.7) ? 'MAP_PRIVATE' : 'MAP_SHARED');
      const anonymous = chance(prng, 0.7);
      const some = anonymous ? flags : flags.filter((f) => f !== 'MAP_ANONYMOUS');
      const offset = pick(prng, ['0', '0', '4K', '100', '-4096', '0x7ffffffffffff000', '1T']);
      const where = chance(prng, 0.5) ? 'NULL' : at;
      const prot = pick(prng, PROTS);
      const joined = [...new Set(some)].join('|') || '0';
      return `mmap(${where}, ${length}, ${prot}, ${joined}, ${anonymous ? '-1' : fd}, ${offset})`;
    }
    case 'munmap':
      return `munmap(${pick(prng, ADDRESSES)}, ${short})`;
    case 'mprotect':
      return `mprotect(${at}, ${short}, ${pick(prng, PROTS)})`;
    case 'mremap': {
      const flags = pick(prng, ['0', '1', '2', '3', '4', '5', '7', '8', '-1']);
      const form = chance(prng, 0.5) ? '' : `, ${pick(prng, [...ADDRESSES, near])}`;
      return `mremap(${at}, ${short}, ${length}, ${flags}${form})`;
    }
    case 'madvise':
      return `madvise(${at}, ${short}, ${pick(prng, ADVICE)})`;
    case 'lock': {
      const flags = pick(prng, ['0', '1', '2', '-1']);
      return pick(prng, [
        `mlock(${at}, ${short})`,
        `mlock2(${at}, ${short}, ${flags})`,
        `munlock(${at}, ${length})`,
        `mlockall(${pick(prng, ['0', '4', '8', '-1'])})`,
      ]);
    }
    case 'msync':
      return `msync(${at}, ${length}, ${pick(prng, MSYNC)})`;
    case 'mincore':
      return `mincore(${at}, ${short})`;
    case 'brk':
      return `brk(${pick(prng, [...ADDRESSES, 'brk0 - 1', 'brk0 + 1', 'brk0 + 1T'])})`;
    case 'file':
      return oddFileCall(prng, fd);
    default: {
      const step = pick(prng, ['1', '512', '4095', '4097', '8K', '2M']);
      const verb = pick(prng, ['load', 'store']);
      if (chance(prng, 0.5)) return `${verb}(${at})`;
      return `${verb}(${at}, ${pick(prng, ['1', '4097', '10000', '64K'])}, ${step})`;
    }
  }
}

const KINDS = [
  ...['mmap', 'mmap', 'mmap', 'munmap', 'mprotect', 'mremap', 'mremap', 'madvise', 'madvise'],
  ...['lock', 'msync', 'mincore', 'brk', 'file', 'file', 'access'],
] as const;

function oddFileCall(prng: Prng, fd: string): string {
  const which = chance(prng, 0.8) ? fd : pick(prng, ['-1', '99']);
  const sizes = ['0', '1', '4K', '100000', '-1', '0x8000000000000000'];
  const size = pick(prng, sizes);
  const offset = pick(prng, [...sizes, '16T']);
  return pick(prng, [
    `memfd_create("odd", ${pick(prng, ['0', '1', '2', '3', '8', '16', '24', '-1'])})`,
    `open("${pick(prng, ['odd', 'other'])}", ${pick(prng, OPEN)})`,
    `ftruncate(${which}, ${pick(prng, [...sizes, '16T'])})`,
    `pwrite(${which}, ${pick(prng, ['0', '1', '-1', '4K'])}, ${offset}, 7)`,
    `pread(${which}, ${size}, ${offset})`,
    `close(${which})`,
  ]);
}
