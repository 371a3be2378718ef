// What pins kernel memory: the objects of a slab, and the frames of a block that would otherwise
// join the buddy's lists as one. Addresses here are physical.
//
// Who has a kernel object is told as far as its process can be named; a frame that is in use and
// movable (anonymous, of a file) does not hold its block for good: compaction can carry it away.

import { PAGEBLOCK_PAGES } from '../../../kernel/free_tables.ts';
import { PG_slab } from '../../../kernel/page.ts';
import { PAGE_SIZE } from '../../../kernel/types.ts';
import type { System } from '../../../userspace/system.ts';
import { ownerOf } from '../../owner.ts';
import { slabDetail, slabView } from '../slab.ts';
import type { Subject } from '../subject.ts';
import type { Pin, PinHolder, PinRoot, Place } from './pin.ts';

/** Every slab that has free objects, as far as slabDetail() lists them. */
export function slabPlaces(subject: Subject): Place[] {
  const places: Place[] = [];
  for (const { name, size } of slabView(subject)) {
    for (const slab of slabDetail(subject, name)) {
      const blocks = slab.objects.reduce((n, o) => n + o, 0);
      if (blocks === 0) continue;
      const [address, bytes] = [slab.pfn * PAGE_SIZE, slab.frames * PAGE_SIZE];
      places.push({
        kind: 'slab',
        address,
        bytes,
        blocks,
        usedBytes: blocks * size,
      });
    }
  }
  return places;
}

/** Whose kernel objects are whose: by their addresses. */
function ownersOfObjects(system: System): Map<number, string> {
  const owners = new Map<number, string>();
  for (const task of system.tasks.values()) {
    const who = `process ${task.pid} (${task.comm})`;
    for (const [, object] of task.objects?.objects ?? []) owners.set(object, who);
  }
  return owners;
}

const MOST_HOLDERS = 8;

/** Who holds a slab. */
export function slabPin(subject: Subject, place: Place): Pin {
  const { system } = subject;
  const head = place.address / PAGE_SIZE;
  const cache = system.machine.slab.cacheOf(head);
  const owners = ownersOfObjects(system);
  const slab = slabDetail(subject, cache?.name ?? '').find((s) => s.pfn === head);
  const holders: PinHolder[] = [];
  const byRoot = new Map<string, number>();
  slab?.objects.forEach((isUsed, i) => {
    if (isUsed === 0) return;
    const bytes = cache?.layout.size ?? 0;
    const address = place.address + slab.first + i * bytes;
    const owner = owners.get(address);
    const root = owner ?? 'the kernel';
    byRoot.set(root, (byRoot.get(root) ?? 0) + 1);
    const path = owner === undefined ? [] : [owner];
    holders.push({ address, bytes, what: `${cache?.name ?? ''} ${i}`, path });
  });
  holders.sort((a, b) => b.path.length - a.path.length);
  return {
    ...place,
    holders: holders.slice(0, MOST_HOLDERS),
    roots: rootsOf(place, byRoot, false),
  };
}

function rootsOf(place: Place, byRoot: ReadonlyMap<string, number>, isNone: boolean): PinRoot[] {
  return [...byRoot].map(([root, blocks]) => {
    const frees = !isNone && blocks === place.blocks;
    return { root, isNone, blocks, frees, freesBytes: frees ? place.bytes : 0 };
  });
}

/** The place of a physical address: its slab, or the block of 2 MiB that its frame is in. */
export function physicalPin(subject: Subject, address: number): Pin | undefined {
  const { pages } = subject.system.machine;
  const pfn = Math.floor(address / PAGE_SIZE);
  if (pfn < 0 || pfn >= pages.nrFrames) return undefined;
  const head = pages.head(pfn);
  if ((pages.flags(head) & PG_slab) !== 0) {
    const place = slabPlaces(subject).find((p) => p.address === head * PAGE_SIZE);
    return place === undefined ? undefined : slabPin(subject, place);
  }
  return blockPin(subject, pfn - (pfn % PAGEBLOCK_PAGES));
}

/** Who holds the frames of a pageblock. */
function blockPin(subject: Subject, first: number): Pin {
  const { system } = subject;
  const { pages, alloc } = system.machine;
  const holders: PinHolder[] = [];
  const byRoot = new Map<string, number>();
  let blocks = 0;
  for (let pfn = first; pfn < Math.min(first + PAGEBLOCK_PAGES, pages.nrFrames); pfn++) {
    if (alloc.tables.freeBlockOf(pfn) >= 0) continue;
    const { use, text, mappings } = ownerOf(system, pfn);
    if (use === 'free' || use === 'nothing') continue;
    blocks++;
    const isMovable = use === 'anonymous' || use === 'file';
    const root = `${use}${isMovable ? ' (movable: compaction can empty it)' : ''}`;
    byRoot.set(root, (byRoot.get(root) ?? 0) + 1);
    const path = mappings.map((m) => `process ${m.pid} (${m.comm})`).slice(0, 1);
    const holder = {
      address: pfn * PAGE_SIZE,
      bytes: PAGE_SIZE,
      what: text,
      path,
    };
    const isNew = byRoot.get(root) === 1;
    if (isNew) holders.unshift(holder);
    else if (holders.length < MOST_HOLDERS) holders.push(holder);
  }
  const place: Place = {
    kind: 'block of frames',
    address: first * PAGE_SIZE,
    bytes: PAGEBLOCK_PAGES * PAGE_SIZE,
    blocks,
    usedBytes: blocks * PAGE_SIZE,
  };
  return { ...place, holders, roots: rootsOf(place, byRoot, true) };
}
