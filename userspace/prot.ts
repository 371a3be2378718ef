// From a mapping's flags to the bits of its page-table entries (vm_page_prot, maybe_mkwrite()).
// Source: Linux 6.18 arch/x86/mm/pgprot.c, mm/mmap.c (vma_wants_writenotify()).

import {
  _PAGE_ACCESSED,
  _PAGE_NX_HI,
  _PAGE_PRESENT,
  _PAGE_PROTNONE,
  _PAGE_RW,
  _PAGE_USER,
} from '../kernel/pte.ts';
import { VM_ACCESS_FLAGS, VM_EXEC, VM_SHARED, VM_WRITE, type Vma } from './vma.ts';

/** True where the first write to a shared page has to be noticed: the file has a disk below. */
export function wantsWriteNotify(vma: Vma): boolean {
  return (
    (vma.flags & (VM_WRITE | VM_SHARED)) === (VM_WRITE | VM_SHARED) &&
    vma.file !== null &&
    vma.file.inode.kind === 'disk'
  );
}

/** Low-word flags of a fresh entry: readable; writable only if shared and not noticed. */
export function protLo(vma: Vma): number {
  const { flags } = vma;
  if ((flags & VM_ACCESS_FLAGS) === 0) return _PAGE_PROTNONE | _PAGE_ACCESSED;
  const shared = (flags & (VM_WRITE | VM_SHARED)) === (VM_WRITE | VM_SHARED);
  const rw = shared && !wantsWriteNotify(vma) ? _PAGE_RW : 0;
  return _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | rw;
}

/** The NX bit of the high word: set where the mapping is not executable. */
export function protHi(vma: Vma): number {
  return (vma.flags & VM_EXEC) !== 0 ? 0 : _PAGE_NX_HI;
}

/** _PAGE_RW where the mapping may be written now, for entries that nobody else shares. */
export function mayWrite(vma: Vma): number {
  return (vma.flags & VM_WRITE) !== 0 ? _PAGE_RW : 0;
}
