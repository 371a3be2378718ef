// Words that look at memory, named as in crash(8) and drgn. None changes anything.

import { InputError } from '../../kernel/errors.ts';
import { fsckKernel } from '../../kernel/fsck.ts';
import { procSlabinfo, procVmallocinfo } from '../../kernel/proc-kernel.ts';
import { procBuddyinfo, procPagetypeinfo } from '../../kernel/proc-zones.ts';
import { hex, NO_PFN, PAGE_SIZE } from '../../kernel/types.ts';
import { fsckSystem } from '../../userspace/fsck.ts';
import { procMaps, procStatus, vmaName } from '../../userspace/proc.ts';
import { procMeminfo, procVmstat } from '../../userspace/proc-memory.ts';
import { permsOf } from '../../userspace/vma.ts';
import { explain, explanationText, telling } from '../explain.ts';
import { entryHex, LEVEL_NAMES, pageInfo, walk } from '../inspect.ts';
import { ownerOf } from '../owner.ts';
import { addressArg, countArg, hexArg, type Prompt, type Word } from './words.ts';

const lines = (text: string): string[] => text.trimEnd().split('\n');

const ps: Word = {
  name: 'ps',
  usage: 'ps [-v]',
  what: 'the processes: faults, sizes; > is the one that addresses belong to. -v: /proc/PID/status',
  examples: ['ps', 'ps -v'],
  run: (prompt, [flag]) => {
    if (flag === '-v') return lines(procStatus(prompt.process.task));
    const out = ['      ID   PID  MINFLT  MAJFLT   VSZ KiB   RSS KiB  CR3         NAME'];
    const current = prompt.process.id;
    for (const { id, name, task } of prompt.session.processes) {
      const { mm } = task;
      const mark = id === current ? '>' : ' ';
      const number = (n: number, width: number): string => String(n).padStart(width);
      out.push(
        `${mark} ${number(id, 6)} ${number(task.pid, 5)} ${number(task.minflt, 7)} ` +
          `${number(task.majflt, 7)} ${number(mm.totalVm * 4, 9)} ${number(mm.rssPages * 4, 9)}  ` +
          `${hex(mm.root * PAGE_SIZE).padEnd(11)} ${name}`,
      );
    }
    return out;
  },
};

const set: Word = {
  name: 'set',
  usage: 'set ID',
  what: 'chooses the process that addresses belong to',
  examples: ['set 2'],
  completions: (prompt) => prompt.session.processes.map((p) => String(p.id)),
  run: (prompt, [id]) => {
    if (id === undefined) throw new InputError('', 'set: expected the number of a process');
    prompt.choose(countArg(id, 0));
    return [`process ${prompt.process.id} (${prompt.process.name})`];
  },
};

const vm: Word = {
  name: 'vm',
  usage: 'vm',
  what: 'the mappings of the process, as /proc/PID/maps',
  examples: ['vm'],
  run: (prompt) => {
    const { id, name, task } = prompt.process;
    const { mm } = task;
    const head = `process ${id} (${name}): CR3 ${hex(mm.root * PAGE_SIZE)}`;
    return [`${head}, RSS ${mm.rssPages * 4} of ${mm.totalVm * 4} KiB`, ...lines(procMaps(mm))];
  },
};

const vtop: Word = {
  name: 'vtop',
  usage: 'vtop [ADDRESS]',
  what: 'a virtual address down: mapping, four table levels, frame, struct page, owner',
  examples: ['vtop [stack]', 'vtop 0x7ffff7ff3000', 'vtop'],
  completions: () => ['[heap]', '[stack]', 'brk'],
  run: (prompt, [where]) => {
    const { mm } = prompt.process.task;
    const va = where === undefined ? (telling(mm) ?? mm.startStack) : addressArg(prompt, where);
    return [hex(va), ...explanationText(explain(mm, va), mm.root)];
  },
};

const pagewalk: Word = {
  name: 'pagewalk',
  usage: 'pagewalk ADDRESS',
  what: 'the entries that the MMU reads: where each lies, its raw bits, what they say',
  examples: ['pagewalk [heap]'],
  completions: () => ['[heap]', '[stack]', 'brk'],
  run: (prompt, [where]) => {
    const va = addressArg(prompt, where);
    const { machine } = prompt.session.system;
    const { steps, pfn, size } = walk(machine.mem, prompt.process.task.mm.root, va);
    const out = steps.map(({ level, table, index, lo, hi, flags, present }) => {
      const at = hex(table * PAGE_SIZE + index * 8);
      const says = present ? flags.join(' ') : lo === 0 && hi === 0 ? 'empty' : 'not present';
      return `  ${LEVEL_NAMES[level] ?? ''}[${index}] at ${at}: ${entryHex(lo, hi)}  ${says}`;
    });
    const end =
      pfn === NO_PFN
        ? 'no translation: the access faults'
        : `physical ${hex(pfn * PAGE_SIZE + (va & 0xfff))}, in a page of ${size / 1024} KiB`;
    return [hex(va), ...out, `  ${end}`];
  },
};

const rd: Word = {
  name: 'rd',
  usage: 'rd [-p] ADDRESS [COUNT]',
  what: 'memory as 64-bit words and characters; -p: at a physical address',
  examples: ['rd [stack]', 'rd -p 0x1000000 4'],
  run: (prompt, args) => {
    const physical = args[0] === '-p';
    const [where, count] = physical ? args.slice(1) : args;
    const start = physical ? hexArg(where, 'a physical address') : addressArg(prompt, where);
    const out: string[] = [];
    const nr = Math.min(countArg(count, 2), 4096);
    for (let i = 0; i < nr; i += 2) {
      out.push(words(prompt, start + 8 * i, Math.min(2, nr - i), physical));
    }
    return out;
  },
};

/** A line of rd. @throws InputError where nothing can be read */
function words(prompt: Prompt, at: number, count: number, physical: boolean): string {
  const { mem } = prompt.session.system.machine;
  const bytes: number[] = [];
  for (let i = 0; i < 8 * count; i++) {
    const a = at + i;
    const { root } = prompt.process.task.mm;
    const pfn = physical ? Math.floor(a / PAGE_SIZE) : walk(mem, root, a).pfn;
    if (pfn === NO_PFN || pfn >= mem.nrFrames) {
      const what = physical ? 'beyond RAM' : 'not present (no fault is taken for a look)';
      throw new InputError('', `${hex(a)}: ${what}`);
    }
    bytes.push(mem.readByte(pfn, a & 0xfff));
  }
  const text = (b: number): string => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.');
  const word = (n: number): string =>
    bytes
      .slice(8 * n, 8 * n + 8)
      .reverse()
      .map((b) => b.toString(16).padStart(2, '0'))
      .join('');
  const shown = Array.from({ length: count }, (_, n) => word(n)).join(' ');
  return `${hex(at)}:  ${shown.padEnd(33)}  ${bytes.map(text).join('')}`;
}

const struct: Word = {
  name: 'struct',
  usage: 'struct page PHYSICAL | struct vma ADDRESS | struct mm',
  what: 'a record of the kernel: of a frame, of the mapping at an address, of the address space',
  examples: ['struct page 0x1000000', 'struct vma [stack]', 'struct mm'],
  completions: () => ['page', 'vma', 'mm'],
  run: (prompt, [what, where]) => {
    const { mm } = prompt.process.task;
    switch (what) {
      case 'page':
        return structPage(prompt, hexArg(where, 'a physical address'));
      case 'vma': {
        const vma = mm.vmas.at(addressArg(prompt, where));
        if (vma === undefined) throw new InputError('', 'no mapping covers this address');
        const { start, end, flags, pgoff } = vma;
        const record = {
          start: hex(start),
          end: hex(end),
          perms: permsOf(flags),
          flags: hex(flags),
        };
        return recordText({ ...record, pgoff: String(pgoff), name: vmaName(vma) });
      }
      case 'mm': {
        const { brk, hiwaterRss, id, lockedVm, mmapBase, root, startBrk, startStack, totalVm } = mm;
        const addresses = { start_brk: hex(startBrk), brk: hex(brk), start_stack: hex(startStack) };
        const pages = { total_vm: totalVm, locked_vm: lockedVm, hiwater_rss: hiwaterRss };
        const first = { id, pgd: hex(root * PAGE_SIZE), mmap_base: hex(mmapBase) };
        return recordText({ ...first, ...addresses, ...pages, rss: mm.rssPages });
      }
      default:
        throw new InputError('', `struct: expected page, vma or mm, found '${what ?? ''}'`);
    }
  },
};

/** @throws InputError where there is no such frame */
function structPage({ session }: Prompt, physical: number): string[] {
  const { pages } = session.system.machine;
  const pfn = Math.floor(physical / PAGE_SIZE);
  if (pfn < 0 || pfn >= pages.nrFrames) throw new InputError('', `${hex(physical)}: beyond RAM`);
  const p = pageInfo(pages, pfn);
  const flags = p.flags.length === 0 ? '0' : p.flags.join('|');
  return recordText({
    pfn: hex(pfn),
    flags,
    refcount: p.refcount,
    mapcount: p.mapcount,
    owner: p.owner,
    index: p.index,
    private: hex(p.private),
    used_for: ownerOf(session.system, pfn).text,
  });
}

function recordText(record: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(record).map(([name, value]) => `  ${name.padEnd(12)} ${value}`);
}

const kmem: Word = {
  name: 'kmem',
  usage: 'kmem [-i | -s | -f | -p PHYSICAL | -v | -V]',
  what: 'kernel memory: -i meminfo, -s slabs, -f free lists, -p a frame, -v vmalloc, -V vmstat',
  examples: ['kmem -i', 'kmem -p 0x1000000'],
  completions: () => ['-i', '-s', '-f', '-p', '-v', '-V'],
  run: (prompt, [flag = '-i', where]) => {
    const { system } = prompt.session;
    switch (flag) {
      case '-i':
        return lines(procMeminfo(system));
      case '-s':
        return lines(procSlabinfo(system.machine.slab));
      case '-f':
        return lines(procBuddyinfo(system.machine.booted));
      case '-p':
        return owner.run(prompt, where === undefined ? [] : [where]);
      case '-v':
        return lines(procVmallocinfo(system.machine.vmalloc));
      case '-V':
        return lines(procVmstat(system));
      default:
        throw new InputError('', `kmem: expected -i, -s, -f, -p, -v or -V, found '${flag}'`);
    }
  },
};

const owner: Word = {
  name: 'owner',
  usage: 'owner PHYSICAL',
  what: 'a physical address up: what its frame is used for, and who maps it',
  examples: ['owner 0x1000000'],
  run: ({ session }, [where]) => {
    const physical = hexArg(where, 'a physical address');
    const pfn = Math.floor(physical / PAGE_SIZE);
    const { mappings, text, zone } = ownerOf(session.system, pfn, physical % PAGE_SIZE);
    return [
      `frame ${hex(pfn)}: ${text}`,
      `  zone ${zone}`,
      ...mappings
        .slice(0, 20)
        .map((m) => `  mapped at ${hex(m.va)} by process ${m.pid} (${m.comm})`),
    ];
  },
};

const buddy: Word = {
  name: 'buddy',
  usage: 'buddy [-t]',
  what: 'free blocks by zone and order, as /proc/buddyinfo; -t by migrate type too',
  examples: ['buddy', 'buddy -t'],
  run: ({ session }, [flag]) => {
    const { booted } = session.system.machine;
    return lines(flag === '-t' ? procPagetypeinfo(booted) : procBuddyinfo(booted));
  },
};

const slab: Word = {
  name: 'slab',
  usage: 'slab [NAME]',
  what: 'slab caches as /proc/slabinfo, those whose name contains NAME',
  examples: ['slab', 'slab vm_area'],
  run: ({ session }, [name = '']) => {
    const [, head = '', ...rest] = lines(procSlabinfo(session.system.machine.slab));
    const found = rest.filter((line) => line.split(' ', 1)[0]?.includes(name));
    if (found.length === 0) throw new InputError('', `no slab cache is named like '${name}'`);
    return [head, ...found];
  },
};

const fsck: Word = {
  name: 'fsck',
  usage: 'fsck',
  what: 'proves the machine sound: one owner a frame, counts, lists, page tables',
  examples: ['fsck'],
  run: ({ session }) => {
    fsckSystem(session.system);
    fsckKernel(session.system.machine);
    return ['sound'];
  },
};

const log: Word = {
  name: 'log',
  usage: 'log',
  what: "the kernel's log",
  examples: ['log'],
  run: ({ session }) =>
    session.system.log.length > 0 ? session.system.log : ['nothing was logged'],
};

export const MEMORY_WORDS: readonly Word[] = [
  ps,
  set,
  vm,
  vtop,
  pagewalk,
  rd,
  struct,
  owner,
  kmem,
  buddy,
  slab,
  fsck,
  log,
];
