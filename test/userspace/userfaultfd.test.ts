// userfaultfd as Linux 6.18 has it: the scripts of test/conformance/userfaultfd, line by line as
// its record.c printed them on a real kernel; and a handler that resolves faults as they come.

import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SysError, errnoName } from '../../kernel/errors.ts';
import { FAULT_BLOCKED, FAULT_OK, PF_USER, PF_WRITE } from '../../kernel/ports.ts';
import { _PAGE_UFFD_WP } from '../../kernel/pte.ts';
import { ProcessMemory, newProcess } from '../../runtime/process-memory.ts';
import { access, byteAt } from '../../userspace/access.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import * as mman from '../../userspace/mman.ts';
import type { Task } from '../../userspace/process.ts';
import { Syscalls } from '../../userspace/syscall.ts';
import { System } from '../../userspace/system.ts';
import { UFFD_API, UFFD_EVENT_PAGEFAULT, type UffdMessage } from '../../userspace/uffd-abi.ts';
import { Userfaultfd, type UffdResult } from '../../userspace/userfaultfd.ts';

const folder = new URL('../conformance/userfaultfd/', import.meta.url);
const recordings = readdirSync(folder).filter((name) => name.endsWith('.txt'));
const ANON = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED;

class Script {
  readonly system = new System({ ram: 64 << 20 });
  readonly sys = new Syscalls(this.system);
  readonly task: Task = this.system.spawn('script');
  readonly uffd = new Userfaultfd(this.task.mm);
  /** The access that waits. */
  private job: (() => string) | null = null;

  run(line: string): string {
    const [op = '', ...words] = line.split(' ');
    const [a = 0, b = 0, c = 0, d = 0] = words.map((w) => parseInt(w, 16));
    const { sys, task, uffd } = this;
    switch (op) {
      case 'anon':
        return word(Math.min(0, sys.mmap(task, a, b, 3, ANON, -1, 0)));
      case 'shmem': {
        const fd = sys.memfdCreate(task, 'shmem', 0);
        sys.ftruncate(task, fd, c);
        sys.mmap(task, a, b, 3, mman.MAP_SHARED | mman.MAP_FIXED, fd, 0);
        sys.mmap(task, a + 0x1000000, b, 3, mman.MAP_SHARED | mman.MAP_FIXED, fd, 0);
        return 'ok';
      }
      case 'api':
        return attempt(() => uffd.api(a, b));
      case 'register':
        return attempt(() => uffd.register(a, b, c));
      case 'other':
        return attempt(() => {
          const other = new Userfaultfd(task.mm);
          other.api(UFFD_API, 0);
          other.register(a, b, c);
        });
      case 'unregister':
        return attempt(() => uffd.unregister(a, b));
      case 'wake':
        return attempt(() => uffd.wake(a, b));
      case 'copy':
        return filled(uffd.copy(a, b, c, d));
      case 'zero':
        return filled(uffd.zeropage(a, b, c));
      case 'continue':
        return filled(uffd.continue(a, b, c));
      case 'wp':
        return attempt(() => uffd.writeprotect(a, b, c));
      case 'read':
        return attempt(() => uffd.read());
      case 'mprotect':
        return word(sys.mprotect(task, a, b, c));
      case 'mremap':
        return word(Math.min(0, sys.mremap(task, a, b, b, 3, c)));
      case 'pages':
        return this.pages(a, b);
      case 'wait':
        return this.goOn();
      default:
        this.job = (): string => this.work(op, a, b);
        return this.goOn();
    }
  }

  private work(op: string, a: number, b: number): string {
    if (op === 'dontneed') return `${this.sys.madvise(this.task, a, b, mman.MADV_DONTNEED)}`;
    if (op === 'munmap') return `${this.sys.munmap(this.task, a, b)}`;
    const store = op === 'store';
    const result = access(this.task, a, PF_USER | (store ? PF_WRITE : 0));
    if (result === FAULT_BLOCKED) return 'blocked';
    expect(result).toBe(FAULT_OK);
    const { bytes } = this.system.machine.mem;
    const at = byteAt(this.task.mm, a);
    if (store) bytes[at] = b;
    return store ? '0' : `${bytes[at]}`;
  }

  /** The job goes on until it ends, or a message comes. */
  private goOn(): string {
    if (this.job === null) return 'blocked';
    const result = this.uffd.blocked ? 'blocked' : this.job();
    let said = '';
    for (let m = this.message(); m !== null; m = this.message()) {
      if (m.event === UFFD_EVENT_PAGEFAULT) {
        return `${said}fault ${m.address.toString(16)} flags ${m.flags}`;
      }
      said += `event ${m.event.toString(16)} ${m.address.toString(16)} ${m.to.toString(16)}, `;
    }
    if (result === 'blocked') return `${said}blocked`;
    this.job = null;
    return `${said}done ${result}`;
  }

  private message(): UffdMessage | null {
    try {
      return this.uffd.read();
    } catch (e) {
      if (e instanceof SysError) return null;
      throw e;
    }
  }

  private pages(start: number, length: number): string {
    const { words } = this.system.machine.mem;
    let out = '';
    for (let va = start; va < start + length; va += 4096) {
      const pte = this.task.mm.pgt.pteAt(va);
      const lo = pte < 0 ? 0 : words[pte];
      out += (lo & _PAGE_UFFD_WP) !== 0 ? 'w' : (lo & 1) !== 0 ? 'p' : '-';
    }
    return out;
  }
}

function word(result: number): string {
  return result < 0 ? errnoName(-result) : 'ok';
}

function attempt(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (e) {
    if (e instanceof SysError) return errnoName(e.errno);
    throw e;
  }
}

function filled(r: UffdResult): string {
  return `${word(r.ret)} ${r.done}`;
}

test.each(recordings)('%s', (name) => {
  const script = new Script();
  for (const line of readFileSync(new URL(name, folder), 'utf8').trim().split('\n')) {
    const [order = ''] = line.split(' => ');
    expect(`${order} => ${script.run(order)}`).toBe(line);
    fsckSystem(script.system);
  }
});

test('a handler fills pages as a program touches them; one that does not is told of', () => {
  const system = new System({ ram: 64 << 20 });
  const memory = new ProcessMemory(system, newProcess(system, 'handled'));
  const at = memory.mmap(0, 64 * 4096, 3, 0x22);
  const pattern = memory.mmap(0, 4096, 3, 0x22);
  memory.store32(pattern, 0x5eed);
  const seen: number[] = [];
  const uffd = memory.userfaultfd((message) => {
    seen.push((message.address - at) / 4096);
    if (message.address < at + 32 * 4096) uffd.copy(message.address, pattern, 4096, 0);
  });
  uffd.register(at, 64 * 4096, 1);
  expect(memory.load32(at + 5 * 4096)).toBe(0x5eed);
  memory.store32(at + 9 * 4096 + 8, 7);
  expect(memory.load32(at + 9 * 4096)).toBe(0x5eed);
  expect(seen).toEqual([5, 9]);
  expect(() => memory.load32(at + 40 * 4096)).toThrow(/no userfaultfd handler resolved/);
  const child = system.fork(memory.task);
  expect(access(child, at + 41 * 4096, PF_USER)).toBe(FAULT_OK);
  fsckSystem(system);
  uffd.close();
  expect(memory.load32(at + 40 * 4096)).toBe(0);
  fsckSystem(system);
});
