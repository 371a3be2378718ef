// The classes of which a machine's objects come and go while it runs: what a saved machine makes
// anew. All others are made once, by the constructors of the machine and of its runtimes.

import { CmaArea } from '../../kernel/cma.ts';
import { PageLists } from '../../kernel/list.ts';
import { MemGroup } from '../../kernel/memcg.ts';
import { Cpu } from '../../kernel/mmu.ts';
import { PageCache } from '../../kernel/pagecache.ts';
import { PageTable } from '../../kernel/pgtable.ts';
import { SlabCache } from '../../kernel/slab.ts';
import { SlabPages } from '../../kernel/slab_pages.ts';
import { SlabPlaces } from '../../kernel/slab_places.ts';
import { SwapArea } from '../../kernel/swap.ts';
import { Tlb } from '../../kernel/tlb.ts';
import { Walker } from '../../kernel/walker.ts';
import { TwoList } from '../../kernel/reclaim/two-list.ts';
import { SpanSet } from '../../runtime/go/mspanset.ts';
import { ProcessMemory } from '../../runtime/process-memory.ts';
import { AnonVma } from '../../userspace/anon.ts';
import { File, Inode } from '../../userspace/file.ts';
import { Mm } from '../../userspace/mm.ts';
import { Files, Task } from '../../userspace/process.ts';
import { Swap } from '../../userspace/swap.ts';
import { Syscalls } from '../../userspace/syscall.ts';
import { Vma } from '../../userspace/vma.ts';
import { VmaTree } from '../../userspace/vma-tree.ts';
import { CallLog } from '../python/call-log.ts';

const CLASSES: readonly { readonly name: string; readonly prototype: object }[] = [
  AnonVma,
  CallLog,
  CmaArea,
  Cpu,
  File,
  Files,
  Inode,
  MemGroup,
  Mm,
  PageCache,
  PageLists,
  PageTable,
  ProcessMemory,
  SlabCache,
  SlabPages,
  SlabPlaces,
  SpanSet,
  Swap,
  SwapArea,
  Syscalls,
  Task,
  Tlb,
  TwoList,
  Vma,
  VmaTree,
  Walker,
];

/** Their prototypes by name. */
export const DYNAMIC_CLASSES: ReadonlyMap<string, object> = new Map(
  CLASSES.map((c) => [c.name, c.prototype]),
);
