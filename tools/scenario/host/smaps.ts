// Reads /proc/PID/smaps as Linux prints it (fs/proc/task_mmu.c, show_smap()).

import type { MapLine } from '../observe.ts';

export interface Smap {
  readonly start: bigint;
  readonly end: bigint;
  /** KiB. */
  readonly size: number;
  readonly growsDown: boolean;
  readonly isLocked: boolean;
  readonly line: MapLine;
}

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+ *(.*)$/;

/** @param dir the scratch directory, which is taken off the names of files. */
export function parseSmaps(text: string, dir: string): Smap[] {
  const out: Smap[] = [];
  let head: RegExpExecArray | null = null;
  let fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const next = HEAD.exec(line);
    if (next !== null) {
      if (head !== null) out.push(smap(head, fields, dir));
      head = next;
      fields = new Map();
      continue;
    }
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  if (head !== null) out.push(smap(head, fields, dir));
  return out;
}

function smap(head: RegExpExecArray, fields: ReadonlyMap<string, string>, dir: string): Smap {
  const [, start = '0', end = '0', perms = '', offset = '0', name = ''] = head;
  const kib = (key: string): number => parseInt(fields.get(key) ?? '0', 10);
  const flags = (fields.get('VmFlags') ?? '').split(' ');
  let path = name.replace(/ \(deleted\)$/, '');
  if (path.startsWith(dir + '/')) path = path.slice(dir.length + 1);
  return {
    start: BigInt('0x' + start),
    end: BigInt('0x' + end),
    size: kib('Size'),
    growsDown: flags.includes('gd'),
    isLocked: flags.includes('lo'),
    line: {
      start: '0x' + BigInt('0x' + start).toString(16),
      end: '0x' + BigInt('0x' + end).toString(16),
      perms,
      offset: parseInt(offset, 16),
      path,
      rss: kib('Rss'),
      pss: kib('Pss'),
      shared_clean: kib('Shared_Clean'),
      shared_dirty: kib('Shared_Dirty'),
      private_clean: kib('Private_Clean'),
      private_dirty: kib('Private_Dirty'),
      anonymous: kib('Anonymous'),
      anon_huge: kib('AnonHugePages'),
      swap: kib('Swap'),
      locked: kib('Locked'),
    },
  };
}
