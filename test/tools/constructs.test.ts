// Constructs that recordings of other programs hold: every call of the table, threads, vfork,
// shared memory, descriptors. What they did on a real kernel is told by the recordings; here it is
// held that each is understood and that the machine stays sound.

import { afterAll, describe, expect, test } from 'vitest';
import { fsckSystem } from '../../userspace/fsck.ts';
import { reclaimable } from '../../tools/frames.ts';
import { openReplay } from '../../tools/replay/open.ts';
import type { EndReport, LineReport } from '../../tools/replay/report.ts';
import { scratch, writeText } from '../support/cli.ts';
import { expectNoLeaks } from '../support/no-leaks.ts';

const [folder, remove] = scratch();
afterAll(remove);

const START = `# memtrace 1
# command: /bin/x
file "/bin/x" size=20480 cached=5/5
file "/data/f" size=65536 cached=4/16
file "/data/new" size=8192 cached=1/2 created
file "/dev/shm/s" size=8192 cached=0/2 created
1 execve("/bin/x", ["x"], 0x7ffe) = 0
1 map 00400000-00402000 r-xp 00000000 /bin/x
1 map 00402000-00404000 rw-p 00002000 /bin/x
1 map 00404000-00405000 rw-p 00000000
1 map 7ffff7ff9000-7ffff7ffd000 r--p 00000000 [vvar]
1 map 7ffff7ffd000-7ffff7fff000 r-xp 00000000 [vdso]
1 map 7ffffffde000-7ffffffff000 rw-p 00000000 [stack]
1 fault 0x7fffffffe000 w gup
`;

interface Run {
  readonly byLine: ReadonlyMap<string, LineReport>;
  readonly ends: readonly EndReport[];
}

let count = 0;

/** Runs the start and `body`, checks the machine, and returns each body line's report. */
async function run(body: string): Promise<Run> {
  const path = writeText(folder, `c${count++}.trace`, START + body);
  const replayer = await openReplay(path, 2 ** 28);
  const { system } = replayer.kernel;
  const before = reclaimable(system);
  const lines = (START + body).split('\n');
  const byLine = new Map<string, LineReport>();
  const ends: EndReport[] = [];
  replayer.onEnd = (end) => ends.push(end);
  replayer.run((record, report) => {
    if (report !== undefined) byLine.set(lines[record.line - 1], report);
    fsckSystem(system);
  });
  replayer.release();
  expectNoLeaks(system, before);
  return { byLine, ends };
}

describe('system calls', () => {
  test('System V shared memory is attached, shared, and detached', async () => {
    const { byLine } = await run(`1 shmget(IPC_PRIVATE, 8192, IPC_CREAT|0600) = 7
1 shmat(7, NULL, 0) = 0x7ffff7ff7000
1 fault 0x7ffff7ff7000 w user
1 shmdt(0x7ffff7ff7000) = 0
1 shmdt(0x1000) = -1 EINVAL
`);
    expect(byLine.get('1 shmat(7, NULL, 0) = 0x7ffff7ff7000')).toMatchObject({
      ret: '0x7ffff7ff7000',
    });
    expect(byLine.get('1 fault 0x7ffff7ff7000 w user')?.effect).toBe('shmem+1 pt+4096');
    expect(byLine.get('1 shmdt(0x7ffff7ff7000) = 0')?.effect).toBe('shmem-1');
    expect(byLine.get('1 shmdt(0x1000) = -1 EINVAL')).toMatchObject({ errno: 'EINVAL' });
  });

  test('a memfd and a tmpfs file count as shared memory, a disk file does not', async () => {
    const map = 'PROT_READ|PROT_WRITE, MAP_SHARED';
    const { byLine } = await run(`1 memfd_create("m", 0) = 3</memfd:m>
1 ftruncate(3</memfd:m>(deleted), 8192) = 0
1 mmap(NULL, 8192, ${map}, 3</memfd:m>(deleted), 0) = 0x7ffff7ff7000
1 fault 0x7ffff7ff7000 w user
1 openat(AT_FDCWD, "/dev/shm/s", O_RDWR|O_CREAT, 0600) = 4</dev/shm/s>
1 mmap(NULL, 8192, ${map}, 4</dev/shm/s>, 0) = 0x7ffff7ff5000
1 fault 0x7ffff7ff5000 w user
1 openat(AT_FDCWD, "/data/f", O_RDWR) = 5</data/f>
1 mmap(NULL, 8192, ${map}, 5</data/f>, 0) = 0x7ffff7ff3000
1 fault 0x7ffff7ff3000 w user
`);
    expect(byLine.get('1 fault 0x7ffff7ff7000 w user')?.effect).toBe('shmem+1 pt+4096');
    expect(byLine.get('1 fault 0x7ffff7ff5000 w user')?.effect).toBe('shmem+1');
    expect(byLine.get('1 fault 0x7ffff7ff3000 w user')?.effect).toBe('file+1');
  });

  test('a file that is not cached is waited for; what it read ahead is not', async () => {
    const { byLine } = await run(`1 openat(AT_FDCWD, "/data/f", O_RDONLY) = 3</data/f>
1 mmap(NULL, 65536, PROT_READ, MAP_PRIVATE, 3</data/f>, 0) = 0x7ffff7fe9000
1 fault 0x7ffff7ff1000 r user
1 fault 0x7ffff7ff8000 r user
`);
    expect(byLine.get('1 fault 0x7ffff7ff1000 r user')).toMatchObject({ fault: 'major' });
    expect(byLine.get('1 fault 0x7ffff7ff8000 r user')?.fault).not.toBe('major');
  });

  test('a file that the run makes is as its line says when it is mapped', async () => {
    const { byLine, ends } =
      await run(`1 openat(AT_FDCWD, "/data/new", O_RDWR|O_CREAT|O_TRUNC, 0600) = 3</data/new>
1 write(3</data/new>, 0x402000, 5000) = 5000
1 unlink(0x402000) = 0
1 mmap(NULL, 8192, PROT_READ, MAP_SHARED, 3</data/new>(deleted), 0) = 0x7ffff7ff7000
1 fault 0x7ffff7ff7000 r user
1 fault 0x7ffff7ff8000 r user
1 +++ exited with 0 +++
`);
    expect(byLine.get('1 fault 0x7ffff7ff7000 r user')).toMatchObject({ fault: 'minor' });
    expect(byLine.get('1 fault 0x7ffff7ff8000 r user')).toMatchObject({ fault: 'major' });
    expect(ends[0].maps.map((m) => m.path)).toContain('/data/new (deleted)');
  });

  test('descriptors: dup, close, fork; a dup shares the description', async () => {
    const { byLine } = await run(`1 openat(AT_FDCWD, "/data/f", O_RDONLY) = 3</data/f>
1 dup(3</data/f>) = 4</data/f>
1 dup2(3</data/f>, 9) = 9</data/f>
1 fcntl(3</data/f>, F_DUPFD_CLOEXEC, 10) = 10</data/f>
1 close(3</data/f>) = 0
1 read(4</data/f>, 0x402000, 4096) = 4096
1 lseek(9</data/f>, 0, SEEK_SET) = 0
1 pread64(10</data/f>, 0x402000, 4096, 32768) = 4096
1 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 2
2 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 9</data/f>, 0x8000) = 0x7ffff7ff8000
2 fault 0x7ffff7ff8000 r user
2 exit_group(3) = ?
2 +++ exited with 3 +++
`);
    expect(byLine.get('2 fault 0x7ffff7ff8000 r user')).toMatchObject({ fault: 'minor' });
  });

  test('failures are reported with their errno', async () => {
    const { byLine } =
      await run(`1 mmap(NULL, 0, PROT_READ, MAP_PRIVATE|MAP_ANON, -1, 0) = -1 EINVAL
1 munmap(0x1, 4096) = -1
1 mprotect(0x10000000, 4096, PROT_READ) = -1 ENOMEM
1 madvise(0x400000, 4096, 0x1234) = -1 EINVAL
1 mremap(0x10000000, 4096, 8192, 0) = -1 EFAULT
1 mlock(0x10000000, 4096) = -1 ENOMEM
1 mincore(0x10000000, 4096, 0x402000) = -1 ENOMEM
1 msync(0x10000000, 4096, MS_SYNC) = -1 ENOMEM
`);
    const errnos = [...byLine.values()].map((r) => r.errno).filter((e) => e !== undefined);
    expect(errnos).toEqual('EINVAL EINVAL ENOMEM EINVAL EFAULT ENOMEM ENOMEM ENOMEM'.split(' '));
  });

  test('where a result differs, ours is reported and the recorded one holds', async () => {
    const anonymous = 'PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0';
    const { byLine } = await run(`1 mmap(NULL, 8192, ${anonymous}) = 0x700000000000
1 fault 0x700000001000 w user
1 mremap(0x700000000000, 8192, 16384, MREMAP_MAYMOVE) = 0x710000000000
1 fault 0x710000003000 w user
1 brk(NULL) = 0x500000
1 brk(0x502000) = 0x502000
1 fault 0x501000 w user
`);
    const reports = [...byLine.values()];
    expect(reports[1].ret).toBe('0x7ffff7ff7000');
    expect(byLine.get('1 fault 0x700000001000 w user')).toMatchObject({ fault: 'minor' });
    expect(byLine.get('1 fault 0x710000003000 w user')).toMatchObject({ fault: 'minor' });
    expect(byLine.get('1 brk(NULL) = 0x500000')?.ret).toBe('0x405000');
    expect(byLine.get('1 fault 0x501000 w user')).toMatchObject({ fault: 'minor' });
  });
});

describe('processes', () => {
  test('threads share their process; the process ends with its last thread', async () => {
    const { ends } = await run(`1 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD}, 88) = 2
2 fault 0x402000 w user
1 fault 0x403000 w user
1 exit_group(0) = ?
1 +++ exited with 0 +++
2 +++ exited with 0 +++
`);
    expect(ends).toHaveLength(1);
    expect(ends[0]).toMatchObject({ end: 1, minflt: 3 });
  });

  test('vfork shares the memory until execve', async () => {
    const { byLine, ends } = await run(`1 vfork() = 2
2 fault 0x402000 w user
2 execve("/bin/x", ["x"], 0x7ffe) = 0
2 map 00400000-00402000 r-xp 00000000 /bin/x
2 map 7ffffffde000-7ffffffff000 rw-p 00000000 [stack]
2 fault 0x400000 x user
2 +++ exited with 0 +++
1 fault 0x402000 r user
1 +++ killed by signal 9 +++
`);
    expect(byLine.get('1 fault 0x402000 r user')).toMatchObject({ fault: 'none', effect: '' });
    expect(ends.map((e) => e.end)).toEqual([2, 1]);
    expect(ends[0].maps).toHaveLength(2);
  });

  test('a clone3 that shows an address alone: a thread, or a spawn', async () => {
    const { ends } = await run(`1 clone3(0x7ffe, 0x58) = 2
1 clone3(0x7ffe, 0x58) = 3
3 execve("/bin/x", ["x"], 0x7ffe) = 0
3 map 00400000-00402000 r-xp 00000000 /bin/x
3 +++ exited with 0 +++
2 +++ exited with 0 +++
1 +++ exited with 0 +++
`);
    expect(ends.map((e) => e.end)).toEqual([3, 1]);
  });

  test('fork tells what the child has', async () => {
    const { byLine } = await run(`1 fault 0x402000 w user
1 fork() = 2
2 fault 0x402000 w user
1 fault 0x402000 w user
`);
    expect(byLine.get('1 fork() = 2')?.effect).toMatch(/^child: anon\+2 pt\+\d+$/);
    expect(byLine.get('2 fault 0x402000 w user')?.effect).toBe('copy');
    expect(byLine.get('1 fault 0x402000 w user')).toBeDefined();
  });

  test('shared anonymous memory is shared by fork', async () => {
    const map = 'PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS';
    const { byLine } = await run(`1 mmap(NULL, 4096, ${map}, -1, 0) = 0x7ffff7ff8000
1 fork() = 2
2 fault 0x7ffff7ff8000 w user
1 fault 0x7ffff7ff8000 r user
`);
    expect(byLine.get('2 fault 0x7ffff7ff8000 w user')?.effect).toBe('shmem+1 pt+4096');
    expect(byLine.get('1 fault 0x7ffff7ff8000 r user')?.effect).toMatch(/^shmem\+1/);
  });
});
