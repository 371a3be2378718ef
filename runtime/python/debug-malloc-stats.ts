// sys._debugmallocstats(): the allocator's figures and the free lists as the text that the
// interpreter prints, to the last line.
//
// Source: CPython 3.11 Objects/obmalloc.c _PyObject_DebugMallocStats(), printone(),
// _PyDebugAllocatorStats().

import type { MallocStats } from './obmalloc-stats.ts';
import type { Profile } from './profile.ts';
import type { FreeLists } from './runtime.ts';

const MAP_NODE_BYTES = { root: 262144, mid: 262144, bottom: 131072 } as const;

/** 1234567 as 1,234,567. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** A line of a name, padded to column 35, and a value that ends in column 57. */
function line(name: string, value: number): string {
  return `${name.padEnd(35)}=${grouped(value).padStart(21)}\n`;
}

/** A line of a free list: how many objects of which size wait on it. */
function freeList(type: string, count: number, bytes: number): string {
  return line(`${`${count} free ${type}s * ${bytes} bytes each`.padStart(48)} `, count * bytes);
}

/** The whole text. */
export function debugMallocStats(profile: Profile, stats: MallocStats, free: FreeLists): string {
  return (
    sizeClasses(profile, stats) +
    arenas(profile, stats) +
    map(profile, stats) +
    lists(profile, free)
  );
}

function sizeClasses(profile: Profile, { classes }: MallocStats): string {
  const threshold = profile.smallRequestThreshold;
  const nrClasses = threshold >> profile.alignShift;
  const head =
    `Small block threshold = ${threshold}, in ${nrClasses} size classes.\n\n` +
    'class   size   num pools   blocks in use  avail blocks\n' +
    '-----   ----   ---------   -------------  ------------\n';
  const widths = [5, 6, 11, 15, 13];
  const rows = Object.entries(classes).map(([size, figures]) => {
    const bytes = Number(size);
    return [(bytes >> profile.alignShift) - 1, bytes, ...figures]
      .map((value, i) => String(value).padStart(widths[i]))
      .join(' ');
  });
  return `${head}${rows.map((row) => `${row}\n`).join('')}\n`;
}

function arenas(profile: Profile, stats: MallocStats): string {
  const { bytes } = stats;
  const poolSize = 1 << profile.poolBits;
  const { current } = stats.arenas;
  return (
    line('# arenas allocated total', stats.arenas.total) +
    line('# arenas reclaimed', stats.arenas.reclaimed) +
    line('# arenas highwater mark', stats.arenas.highwater) +
    line('# arenas allocated current', current) +
    line(`${current} arenas * ${2 ** profile.arenaBits} bytes/arena`, bytes.arenas) +
    '\n' +
    line('# bytes in allocated blocks', bytes.allocated) +
    line('# bytes in available blocks', bytes.available) +
    line(`${bytes.unused_pools / poolSize} unused pools * ${poolSize} bytes`, bytes.unused_pools) +
    line('# bytes lost to pool headers', bytes.pool_headers) +
    line('# bytes lost to quantization', bytes.quantization) +
    line('# bytes lost to arena alignment', bytes.arena_alignment) +
    line('Total', bytes.total)
  );
}

function map(profile: Profile, stats: MallocStats): string {
  if (!profile.radixMap) return '\n';
  const { mid_nodes: mid, bot_nodes: bottom } = stats.map;
  const lost = [
    MAP_NODE_BYTES.root,
    mid * MAP_NODE_BYTES.mid,
    bottom * MAP_NODE_BYTES.bottom,
  ] as const;
  return (
    '\narena map counts\n' +
    line('# arena map mid nodes', mid) +
    line('# arena map bot nodes', bottom) +
    '\n' +
    line('# bytes lost to arena map root', lost[0]) +
    line('# bytes lost to arena map mid', lost[1]) +
    line('# bytes lost to arena map bot', lost[2]) +
    line('Total', lost[0] + lost[1] + lost[2]) +
    '\n'
  );
}

function lists(profile: Profile, free: FreeLists): string {
  let text =
    freeList('PyDictObject', free.dict, 48) +
    (profile.reportsDictKeys ? freeList('PyDictKeysObject', free.dict_keys, 32) : '') +
    freeList('PyFloatObject', free.float, 24) +
    freeList('PyListObject', free.list, 40);
  for (let length = 1; length <= 20; length++) {
    const count = free.tuple[String(length)] ?? 0;
    text += freeList(`${length}-sized PyTupleObject`, count, profile.tupleHeadBytes + 8 * length);
  }
  return text;
}
