// What real faults on an uncached file mapped and read ahead (Linux 6.18, ext4 with large folios),
// line by line: recorded by test/conformance/readahead/record.c.

import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { NO_PFN } from '../../kernel/types.ts';
import { System, Syscalls, access } from '../../userspace/index.ts';

const folder = new URL('../conformance/readahead/', import.meta.url);
const recordings = readdirSync(folder).filter((name) => name.endsWith('.txt'));

/** `first-last` of each run of pages for which `on` holds. */
function runs(pages: number, on: (page: number) => boolean): string {
  let out = '';
  for (let i = 0; i < pages; i++) {
    if (!on(i)) continue;
    if (i === 0 || !on(i - 1)) out += ` ${i}`;
    if (i === pages - 1 || !on(i + 1)) out += `-${i}`;
  }
  return out;
}

test.each(recordings)('%s', (name) => {
  const pages = Number(/-(\d+)\./.exec(name)![1]);
  const system = new System({ ram: 256 << 20 });
  const sys = new Syscalls(system);
  const task = system.spawn('reader');
  const fd = sys.open(task, 'file', 0o102);
  sys.ftruncate(task, fd, pages * 4096);
  const base = sys.mmap(task, 0x10000000, pages * 4096, 3, 0x11, fd, 0);
  const inode = system.files.get('file')!;
  inode.sparse = false; // the recorded files were full of data
  const { cache } = inode;
  const { words } = system.machine.mem;
  const isMapped = (i: number): boolean => {
    const pte = task.mm.pgt.pteAt(base + i * 4096);
    return pte >= 0 && (words[pte] & 1) !== 0;
  };
  for (const line of readFileSync(new URL(name, folder), 'utf8').trim().split('\n')) {
    const [page, kind] = line.split(' ');
    const { minflt, majflt } = task;
    access(task, base + Number(page) * 4096, PF_USER | (kind === 'w' ? PF_WRITE : 0));
    const major = task.majflt - majflt;
    const minor = task.minflt - minflt;
    const cached = runs(pages, (i) => cache.get(i) !== NO_PFN);
    const got = `maj ${major} min ${minor} map${runs(pages, isMapped)} cache${cached}`;
    expect(`${page} ${kind} ${got}`).toBe(line);
  }
});
