// The parsers of recordings: each construct of each format, once.

import { afterAll, describe, expect, test } from 'vitest';
import { filePath, named, number, register } from '../../tools/replay/args.ts';
import { readRecording } from '../../tools/trace/read.ts';
import { splitArgs, unquote, type TraceRecord } from '../../tools/trace/record.ts';
import { scratch, writeText } from '../support/cli.ts';

const [folder, remove] = scratch();
afterAll(remove);

async function parse(name: string, text: string): Promise<readonly TraceRecord[]> {
  return (await readRecording(writeText(folder, name, text))).records;
}

describe('kernel recordings', () => {
  test('each kind of line', async () => {
    const records = await parse(
      'all.trace.gz',
      `# memtrace 1
# command: /bin/x -a
file "/tmp/a \\"b\\"" size=12388 cached=3/4 folios=0+2,8+4 created
1 execve("/bin/x", ["x", "a, b)"], 0x7ffe) = 0
1 map 7ffffffde000-7ffffffff000 rw-p 00000000 [stack]
1 map ffffffffff600000-ffffffffff601000 --xp 00000000 [vsyscall]
1 map 00528000-0055c000 rw-p 00000000
1 fault 0x7fffffffe000 w gup minor anon+1 pt+12288
1 fault 0x7fffffffe000 x user
1 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3</tmp/a, b>, 0) = 0x7ffff7fc0000  anon+16
1 gup 16 minor 2 major
1 munmap(0x1, 4096) = -1 EINVAL
1 openat(AT_FDCWD, "/x", O_RDONLY) = 3</x>
1 clone(child_stack=NULL, flags=SIGCHLD) = 2  child: anon+69 pt+32768
2 exit_group(0) = ?
2 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x7ffff7ca2000} ---
2 +++ killed by signal 11 +++
1 +++ exited with 3 +++
# not listed (no effect on memory): newfstatat 2, access 1
`,
    );
    expect(records.map((r) => r.type)).toEqual(
      'file call map map map fault fault call gup call call call call signal exit exit'.split(' '),
    );
    expect(records[0]).toMatchObject({
      path: '/tmp/a "b"',
      size: 12388,
      cached: 3,
      pages: 4,
      created: true,
      folios: [
        [0, 2],
        [8, 4],
      ],
    });
    expect(records[1]).toMatchObject({ args: ['"/bin/x"', '["x", "a, b)"]', '0x7ffe'], line: 4 });
    expect(records[3]).toMatchObject({ start: -10485760, end: -10481664, path: '[vsyscall]' });
    expect(records[4]).toMatchObject({ start: 0x528000, end: 0x55c000, path: '' });
    expect(records[5]).toMatchObject({ by: 'gup', access: 'w', effect: 'anon+1 pt+12288' });
    expect(records[6]).toMatchObject({ by: 'user', access: 'x', kind: undefined, effect: '' });
    expect(records[7]).toMatchObject({ result: '0x7ffff7fc0000', effect: 'anon+16' });
    expect(records[8]).toMatchObject({ minor: 16, major: 2 });
    expect(records[9]).toMatchObject({ result: '-1', errno: 'EINVAL' });
    expect(records[11]).toMatchObject({ effect: 'child: anon+69 pt+32768' });
    expect(records[13]).toMatchObject({ code: 'SEGV_ACCERR', address: 0x7ffff7ca2000 });
    expect(records[14]).toMatchObject({ status: -1, signal: '11' });
  });
});

describe('strace text', () => {
  test('interrupted calls are put together; a clone stands where it began', async () => {
    const records = await parse(
      's.strace',
      `10 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
11 brk(NULL <unfinished ...>
10 <... clone resumed>, child_tidptr=0x7) = 11
11 <... brk resumed>)                     = 0x5000
11 openat(AT_FDCWD</>, "/a", O_RDONLY) = -1 ENOENT (No such file or directory)
11 +++ killed by SIGSEGV (core dumped) +++
10 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=11} ---
`,
    );
    expect(records.map((r) => `${r.type} ${r.line}`)).toEqual([
      'call 1',
      'call 4',
      'call 5',
      'exit 6',
      'signal 7',
    ]);
    expect(records[0]).toMatchObject({ name: 'clone', task: 10, result: '11' });
    expect(records[1]).toMatchObject({ name: 'brk', task: 11, args: ['NULL'], result: '0x5000' });
    expect(records[2]).toMatchObject({ errno: 'ENOENT' });
    expect(records[3]).toMatchObject({ signal: 'SIGSEGV' });
  });

  test('arguments that strace prints in ways of its own', async () => {
    const records = await parse(
      'odd.strace',
      `7 capget({version=V3, pid=7}, {effective=1<<CAP_CHOWN|1<<CAP_KILL, permitted=0}) = 0
7 read(3<TCP:[1.2.3.4:80->5.6.7.8:99]>, "x)", 2) = 2
7 odd({a="b, c=3}) = 5
7 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x1} => {parent_tid=[8]}, 88) = 8
`,
    );
    expect(records.map((r) => (r.type === 'call' ? r.result : ''))).toEqual(['0', '2', '5', '8']);
    expect(records[1]).toMatchObject({ args: ['3<TCP:[1.2.3.4:80->5.6.7.8:99]>', '"x)"', '2'] });
  });

  test('without -f, with times', async () => {
    const records = await parse('t.strace', '12:00:01.5 brk(NULL) = 0x5000 <0.00001>\n');
    expect(records[0]).toMatchObject({ task: 1, name: 'brk', result: '0x5000' });
  });
});

describe('perf text', () => {
  test('calls by number, mappings, faults', async () => {
    const t = '5/5 1.5: ';
    const records = await parse(
      'p.perf',
      `${t}PERF_RECORD_COMM exec: x:5/5
${t}PERF_RECORD_MMAP2 5/5: [0x1000(0x3000) @ 0 fe:00 7 0]: r--p /bin/x
${t}exceptions:page_fault_kernel: address=0x2128 ip=elf_load error_code=0x2     0
${t}minor-faults: 2128
${t}PERF_RECORD_MMAP2 5/5: [0x2000(0x1000) @ 0x1000 fe:00 7 0]: rw-p /bin/x
${t}raw_syscalls:sys_exit: NR 59 = 0   0
${t}raw_syscalls:sys_enter: NR 9 (0, 2000, 3, 22, ffffffff, 0)    0
${t}PERF_RECORD_MMAP2 5/5: [0x9000(0x2000) @ 0x9000 00:00 0 0]: rw-p //anon
${t}raw_syscalls:sys_exit: NR 9 = 36864    0
${t}exceptions:page_fault_user: address=0x9008 ip=0x1 error_code=0x6  0
${t}minor-faults: 9008
${t}exceptions:page_fault_user: address=0xdead ip=0x1 error_code=0x14  0
${t}raw_syscalls:sys_enter: NR 56 (1200011, 0, 0, 0, 0, 0)  0
${t}PERF_RECORD_FORK(6:6):(5:5)
${t}raw_syscalls:sys_exit: NR 56 = 6
6/6 1.6: PERF_RECORD_EXIT(6:6):(5:5)
`,
    );
    expect(records.map((r) => r.type)).toEqual(
      'call map map map fault call fault signal call exit'.split(' '),
    );
    expect(records.slice(1, 4)).toMatchObject([
      { start: 0x1000, end: 0x2000, offset: 0, perms: 'r--p' },
      { start: 0x2000, end: 0x3000, offset: 0x1000, perms: 'rw-p' },
      { start: 0x3000, end: 0x4000, offset: 0x2000, perms: 'r--p' },
    ]);
    expect(records[4]).toMatchObject({ by: 'kernel', access: 'w', address: 0x2128 });
    expect(records[5]).toMatchObject({
      name: 'mmap',
      result: '0x9000',
      args: ['0x0', '0x2000', '0x3', '0x22', '-1', '0x0'],
    });
    expect(records[7]).toMatchObject({ signal: 'SIGSEGV', address: 0xdead, access: 'x' });
    expect(records[8]).toMatchObject({ name: 'clone', args: ['flags=0x1200011'], result: '6' });
  });
});

describe('perf text, a stack that grows', () => {
  test('its new mapping comes before the fault is resolved', async () => {
    const t = '5/5 1.5: ';
    const records = await parse(
      'grow.perf',
      `${t}exceptions:page_fault_user: address=0x1000 ip=0x1 error_code=0x6  0
${t}PERF_RECORD_MMAP2 5/5: [0x1000(0x5000) @ 0x1000 00:00 0 0]: rw-p [stack]
${t}minor-faults: 1000
`,
    );
    expect(records).toMatchObject([{ type: 'fault', address: 0x1000, kind: 'minor' }]);
  });
});

describe('arguments', () => {
  test.each([
    ['PROT_READ|PROT_WRITE', 3],
    ['MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS', 0x32],
    ['NULL', 0],
    ['-1', -1],
    ['3</etc/a|b>', 3],
    ['0600', 0o600],
    ['8192*1024', 8388608],
    ['21<<MAP_HUGE_SHIFT', 21 * 2 ** 26],
    ['0x18 /* comment */', 24],
    ['0x7ffffffff000', 0x7ffffffff000],
    ['0xffffffffffffffff', -1],
    ['18446744073709551615', -1],
    ['0x7fffffffffffffff', 2 ** 53 - 1],
    ['0x7ffffffffffff000', 2 ** 53 - 4096],
  ])('%s is %d', (text, value) => {
    expect(number(text, 'f:1')).toBe(value);
  });

  test('anything else is refused', () => {
    expect(() => number('MAP_NOSUCH', 'f:1:2')).toThrow(/^f:1:2: expected a number/);
  });

  test('registers beyond 2^53 keep their low 12 bits', () => {
    expect(register(0x8000_0000_0000_0123n) & 0xfff).toBe(0x123);
  });

  test('split, unquote, paths, names', () => {
    const text = '3</a, b>, "x\\", y", {a=[1, 2], b="}"}, ...) = 0';
    expect(splitArgs(text, 0)).toEqual({
      args: ['3</a, b>', '"x\\", y"', '{a=[1, 2], b="}"}', '...'],
      end: text.length - 4,
    });
    expect(unquote('"a\\"b\\n\\x41\\101\\\\"')).toBe('a"b\nAA\\');
    expect(filePath('3</tmp/x>(deleted)')).toBe('/tmp/x');
    expect(filePath('-1')).toBe('');
    expect(named(['{flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}', '88'], 'flags')).toBe(
      'CLONE_VM|CLONE_VFORK',
    );
  });
});
