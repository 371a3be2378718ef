// Random scenarios: a weighted grammar over the calls, for comparing two kernels.
//
// What makes a random scenario worth running is that its statements meet: so names are reused,
// ranges are small, and offsets are near the edges of what was mapped. The generator keeps for each
// process a guess of its regions (name, length in pages) and descriptors; the guess may be wrong,
// and then the kernels must agree on the error. Every choice comes from the seeded generator.

import { below, chance, pick, type Prng } from '../../kernel/prng.ts';
import { oddCall } from './random-odd.ts';
import {
  ADVICE,
  HUGE_TOPICS,
  LONG,
  MAP_EXTRA,
  PAGES,
  PROCESS_NAMES,
  PROT,
  SWAP_TOPICS,
  TOP,
  TOPICS,
} from './topics.ts';

interface Region {
  readonly name: string;
  /** A guess of its length in pages. */
  readonly pages: number;
}

interface Proc {
  readonly name: string;
  readonly regions: Region[];
  readonly fds: string[];
}

class Generator {
  readonly lines: string[] = [];
  private readonly prng: Prng;
  private readonly topic: string;
  private readonly procs: Proc[] = [{ name: 'p0', regions: [], fds: [] }];
  private proc: Proc;
  private serial = 0;
  private forks = 0;
  /** Pages in the unit of sizes: 1, or 128 where huge pages are the topic. */
  private readonly unit: number;

  constructor(prng: Prng, topic: string) {
    this.prng = prng;
    this.topic = topic;
    this.unit = HUGE_TOPICS.has(topic) ? 128 : 1;
    this.proc = this.procs[0] ?? { name: 'p0', regions: [], fds: [] };
  }

  run(statements: number): void {
    const weights = TOPICS[this.topic] ?? {};
    const options: string[] = [];
    if (SWAP_TOPICS.has(this.topic)) options.push('swap=64M');
    if (HUGE_TOPICS.has(this.topic)) {
      options.push(`thp=${pick(this.prng, ['always', 'always', 'madvise'])}`);
    }
    if (options.length > 0) this.lines.push(`machine(${options.join(', ')})`);
    // Keeps ranges that overshoot off the vdso, which lies right above the first mapping.
    this.say(TOP);
    this.map();
    for (let i = 0; i < statements; i++) {
      this.proc =
        chance(this.prng, 0.5) && this.procs[0] ? this.procs[0] : pick(this.prng, this.procs);
      this.statement(this.choose(weights));
    }
    for (const p of this.procs) {
      this.proc = p;
      this.say('maps()');
      for (const r of p.regions.slice(-3)) {
        this.say(`pages(${r.name}, ${this.size(Math.min(r.pages, 64))})`);
      }
      this.say('usage()');
    }
  }

  private choose(weights: Readonly<Record<string, number>>): string {
    const entries = Object.entries(weights);
    let left = below(
      this.prng,
      entries.reduce((n, [, w]) => n + w, 0),
    );
    for (const [kind, weight] of entries) if ((left -= weight) < 0) return kind;
    return 'access';
  }

  private say(text: string): void {
    this.lines.push(this.proc.name === 'p0' ? text : `${this.proc.name}: ${text}`);
  }

  private fresh(prefix: string): string {
    return `${prefix}${++this.serial}`;
  }

  private size(pages: number): string {
    return pages % 256 === 0 && pages > 0 ? `${pages / 256}M` : `${pages * 4}K`;
  }

  private region(): Region {
    return this.proc.regions.length === 0
      ? { name: 'brk0', pages: 8 }
      : pick(this.prng, this.proc.regions);
  }

  /** A range in or near a region: its address, and its length in pages. */
  private range(): { at: string; length: string } {
    const r = this.region();
    const from = chance(this.prng, 0.35)
      ? 0
      : below(this.prng, r.pages + 1) - (chance(this.prng, 0.1) ? 2 : 0);
    let pages = chance(this.prng, 0.3)
      ? r.pages
      : 1 + below(this.prng, Math.max(1, r.pages - from));
    if (chance(this.prng, 0.08)) pages += 1 + below(this.prng, 8);
    const odd = chance(this.prng, 0.04) ? ` + ${pick(this.prng, ['1', '100', '4095'])}` : '';
    const length = chance(this.prng, 0.04)
      ? pick(this.prng, ['0', '1', '4097', '-1', '-4096', '8191'])
      : this.size(pages);
    return { at: this.offset(r.name, r.name === 'brk0' ? Math.max(0, from) : from) + odd, length };
  }

  private offset(name: string, pages: number): string {
    if (pages === 0) return name;
    return pages > 0 ? `${name} + ${this.size(pages)}` : `${name} - ${this.size(-pages)}`;
  }

  private pages(): number {
    return pick(this.prng, PAGES) * (chance(this.prng, 0.8) ? this.unit : 1);
  }

  private bind(prefix: string, pages: number, call: string): void {
    const name = this.fresh(prefix);
    this.say(`${name} = ${call}`);
    this.proc.regions.push({ name, pages });
  }

  private prot(): string {
    return chance(this.prng, 0.65) ? 'PROT_READ|PROT_WRITE' : pick(this.prng, PROT);
  }

  private map(): void {
    const pages = this.pages();
    const kind = chance(this.prng, 0.8) ? 'MAP_PRIVATE' : 'MAP_SHARED';
    let flags = `${kind}|MAP_ANONYMOUS`;
    let at = 'NULL';
    if (chance(this.prng, 0.12)) flags += `|${pick(this.prng, MAP_EXTRA)}`;
    if (chance(this.prng, this.topic === 'place' ? 0.5 : 0.2)) {
      at = this.range().at;
      const fixed = pick(this.prng, ['', '|MAP_FIXED', '|MAP_FIXED', '|MAP_FIXED_NOREPLACE']);
      flags += fixed;
    } else if (chance(this.prng, this.topic === 'place' ? 0.15 : 0.02)) {
      at = pick(this.prng, [
        '0x20000000',
        '0x20004000',
        '0x10000',
        '0x1000',
        '0x7fff00000000',
        '123',
      ]);
    }
    this.bind('a', pages, `mmap(${at}, ${this.size(pages)}, ${this.prot()}, ${flags}, -1, 0)`);
  }

  private statement(kind: string): void {
    const { at, length } = this.range();
    const p = this.prng;
    switch (kind) {
      case 'map':
        this.map();
        return;
      case 'unmap':
        this.say(`munmap(${at}, ${length})`);
        return;
      case 'protect':
        this.say(`mprotect(${at}, ${length}, ${this.prot()})`);
        return;
      case 'advise': {
        const some = SWAP_TOPICS.has(this.topic) && chance(p, 0.5) ? 'PAGEOUT' : pick(p, ADVICE);
        this.say(`madvise(${at}, ${length}, MADV_${some})`);
        return;
      }
      case 'guard': {
        const some = chance(p, 0.65) ? 'INSTALL' : 'REMOVE';
        this.say(`madvise(${at}, ${length}, MADV_GUARD_${some})`);
        return;
      }
      case 'access':
        this.access(at, length);
        return;
      case 'move':
        this.move(at, length);
        return;
      case 'lock':
        this.lock(at, length);
        return;
      case 'sync': {
        const flags = pick(p, ['MS_SYNC', 'MS_ASYNC', 'MS_INVALIDATE', 'MS_SYNC|MS_INVALIDATE']);
        this.say(
          chance(p, 0.5) ? `msync(${at}, ${length}, ${flags})` : `mincore(${at}, ${length})`,
        );
        return;
      }
      case 'brk': {
        const odd = chance(p, 0.2) ? ' + 100' : '';
        this.say(`brk(brk0 + ${this.size(below(p, 24))}${odd})`);
        return;
      }
      case 'stack':
        this.say(`${pick(p, ['load', 'store'])}(stack - ${this.size(below(p, 80))})`);
        return;
      case 'grow':
        this.grow();
        return;
      case 'fork':
        this.fork();
        return;
      case 'exit':
        this.exit();
        return;
      case 'file':
        this.file();
        return;
      case 'fileio':
        this.fileio();
        return;
      case 'odd': {
        const fd = this.proc.fds.length === 0 ? '-1' : pick(p, this.proc.fds);
        const text = oddCall(p, at, fd);
        const made = text.startsWith('mmap') || text.startsWith('open');
        if (text.startsWith('mmap')) this.bind('o', 1, text);
        else this.say(made ? `${this.fresh('o')} = ${text}` : text);
        return;
      }
      default: {
        this.look();
        return;
      }
    }
  }

  private access(at: string, length: string): void {
    const p = this.prng;
    const verb = chance(p, 0.65) ? 'store' : 'load';
    const form = below(p, 10);
    if (form < 4) this.say(`${verb}(${at})`);
    else if (form < 8) this.say(`${verb}(${at}, ${length.startsWith('-') ? '4K' : length})`);
    else if (form < 9) this.say(`peek(${at})`);
    else this.say(`poke(${at}, ${below(p, 256)})`);
  }

  private move(at: string, length: string): void {
    const p = this.prng;
    const grown = chance(p, 0.5) ? length : this.size(this.pages());
    const flags = pick(p, [
      '0',
      'MREMAP_MAYMOVE',
      'MREMAP_MAYMOVE',
      'MREMAP_MAYMOVE|MREMAP_DONTUNMAP',
      'F',
    ]);
    const old = chance(p, 0.03) ? '0' : length;
    if (flags === 'F') {
      const both = `MREMAP_MAYMOVE|MREMAP_FIXED${chance(p, 0.15) ? '|MREMAP_DONTUNMAP' : ''}`;
      this.bind('v', 8, `mremap(${at}, ${old}, ${grown}, ${both}, ${this.range().at})`);
    } else if (chance(p, 0.5)) this.bind('v', 8, `mremap(${at}, ${old}, ${grown}, ${flags})`);
    else this.say(`mremap(${at}, ${old}, ${grown}, ${flags})`);
  }

  private lock(at: string, length: string): void {
    const p = this.prng;
    const form = below(p, 12);
    if (form < 4) this.say(`mlock(${at}, ${length})`);
    else if (form < 6) this.say(`mlock2(${at}, ${length}, MLOCK_ONFAULT)`);
    else if (form < 9) this.say(`munlock(${at}, ${length})`);
    else if (form < 10) this.say('munlockall()');
    else {
      const flags = [
        'MCL_CURRENT',
        'MCL_FUTURE',
        'MCL_CURRENT|MCL_FUTURE',
        'MCL_FUTURE|MCL_ONFAULT',
      ];
      this.say(`mlockall(${pick(p, flags)})`);
    }
  }

  private grow(): void {
    const p = this.prng;
    if (chance(p, 0.4)) {
      const pages = 1 + below(p, 8);
      const r = this.region();
      const flags = 'MAP_PRIVATE|MAP_ANONYMOUS|MAP_GROWSDOWN';
      const at = chance(p, 0.4) ? this.offset(r.name, -300 - below(p, 300)) : 'NULL';
      this.bind(
        'g',
        pages,
        `mmap(${at}, ${this.size(pages)}, PROT_READ|PROT_WRITE, ${flags}, -1, 0)`,
      );
    } else {
      const verb = chance(p, 0.65) ? 'store' : 'load';
      this.say(`${verb}(${this.region().name} - ${this.size(1 + below(p, 40))})`);
    }
  }

  private fork(): void {
    const name = PROCESS_NAMES[this.forks];
    if (name === undefined || this.procs.length > 3) {
      this.look();
      return;
    }
    this.forks++;
    this.say(`${name} = fork()`);
    this.procs.push({ name, regions: [...this.proc.regions], fds: [...this.proc.fds] });
  }

  private exit(): void {
    if (this.proc.name === 'p0') {
      this.look();
      return;
    }
    this.say(`exit(${below(this.prng, 4)})`);
    this.procs.splice(this.procs.indexOf(this.proc), 1);
  }

  private file(): void {
    const p = this.prng;
    const fd = this.proc.fds.length === 0 ? undefined : pick(p, this.proc.fds);
    if (fd === undefined || chance(p, 0.2)) {
      const name = this.fresh('fd');
      this.say(
        chance(p, 0.5)
          ? `${name} = memfd_create("${name}", 0)`
          : `${name} = open("${name}", O_RDWR|O_CREAT)`,
      );
      this.say(`ftruncate(${name}, ${this.fileSize()})`);
      if (chance(p, 0.5)) this.say(`pwrite(${name}, ${this.fileSize()}, 0, ${below(p, 256)})`);
      this.proc.fds.push(name);
      return;
    }
    const pages = this.topic === 'readahead' ? pick(p, LONG) : this.pages();
    const kind = chance(p, 0.5) ? 'MAP_SHARED' : 'MAP_PRIVATE';
    const fixed = chance(p, 0.2);
    const at = fixed ? this.range().at : 'NULL';
    const flags = kind + (fixed ? '|MAP_FIXED' : chance(p, 0.1) ? '|MAP_POPULATE' : '');
    const rest = `${flags}, ${fd}, ${this.size(below(p, 12))}`;
    const call = `mmap(${at}, ${this.size(pages)}, ${this.prot()}, ${rest})`;
    this.bind('m', pages, call);
  }

  private fileSize(): string {
    const p = this.prng;
    if (this.topic === 'readahead') return this.size(pick(p, LONG));
    return chance(p, 0.3) ? `${below(p, 200000)}` : this.size(this.pages());
  }

  private fileio(): void {
    const p = this.prng;
    if (this.proc.fds.length === 0) {
      this.file();
      return;
    }
    const fd = pick(p, this.proc.fds);
    const reach = this.topic === 'readahead' ? 300 : 32;
    const at = chance(p, 0.3) ? `${below(p, 100000)}` : this.size(below(p, reach));
    const form = below(p, 10);
    const length = pick(p, ['1', '100', '4K', '5000', '16K']);
    if (form < 4) this.say(`pwrite(${fd}, ${length}, ${at}, ${below(p, 256)})`);
    else if (form < 7) this.say(`pread(${fd}, ${length}, ${at})`);
    else if (form < 9) this.say(`ftruncate(${fd}, ${this.fileSize()})`);
    else this.say(`close(${fd})`);
  }

  private look(): void {
    const p = this.prng;
    const form = below(p, 5);
    if (form < 2) this.say('maps()');
    else if (form < 3) this.say('usage()');
    else if (form < 4) {
      const r = this.region();
      this.say(`pages(${r.name}, ${this.size(Math.min(r.pages, 64))})`);
    } else {
      const { at, length } = this.range();
      this.say(`mincore(${at}, ${length})`);
    }
  }
}

/** A random scenario's text. @param topic a key of TOPICS. */
export function randomScenario(prng: Prng, topic: string, statements: number): string {
  const g = new Generator(prng, topic);
  g.run(statements);
  return g.lines.join('\n') + '\n';
}
