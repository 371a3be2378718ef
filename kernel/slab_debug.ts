// Slab debugging: bytes around and inside objects that tell when somebody wrote where they must
// not.
//
//     | bb.. or cc..  | object               | bb/cc | pointer | alloc, free track | padding 5a |
//       left red zone   free: 6b 6b 6b ... 6b a5     right red zone
//
// Red zones are 0xcc while an object is in use and 0xbb while it is free; a free object is filled
// with 0x6b and ends in 0xa5. Each allocation and each free looks at all of them and reports the
// first byte that is wrong, with who allocated and freed the object last.
// Source: Linux 6.1 mm/slub.c check_object(), alloc_consistency_checks(), include/linux/poison.h.

import { SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER } from './caches.ts';
import { KernelBug } from './errors.ts';
import type { PageAllocator } from './page_alloc.ts';
import type { CacheLayout } from './slab_layout.ts';
import { TRACK_SIZE } from './slab_layout.ts';
import type { SlabPages } from './slab_pages.ts';
import { PAGE_SIZE, type PhysAddr } from './types.ts';

const RED_INACTIVE = 0xbb;
const RED_ACTIVE = 0xcc;
const POISON_INUSE = 0x5a;
const POISON_FREE = 0x6b;
const POISON_END = 0xa5;
// Bytes of a track's fields (struct track: addr, handle, cpu, pid, when).
const TRACK_CPU = 12;
const TRACK_WHEN = 24;

export class SlabDebug {
  private readonly name: string;
  private readonly flags: number;
  private readonly slabs: SlabPages;
  private readonly layout: CacheLayout;
  private readonly alloc: PageAllocator;
  /** Counts allocations and frees: the clock of the tracks. */
  private events = 0;

  constructor(name: string, flags: number, slabs: SlabPages, alloc: PageAllocator) {
    this.name = name;
    this.flags = flags;
    this.slabs = slabs;
    this.layout = slabs.layout;
    this.alloc = alloc;
  }

  /** Marks an object of a new slab as free (init_object()). */
  prepare(object: PhysAddr): void {
    const { layout } = this;
    const next = this.slabs.next(object);
    this.fill(object - layout.redLeft, layout.size, POISON_INUSE);
    if (layout.track >= 0) this.fill(object + layout.track, 2 * TRACK_SIZE, 0);
    this.slabs.setNext(object, next);
    this.mark(object, false);
  }

  /** Checks an object that is being handed out, and marks it as in use. */
  onAlloc(object: PhysAddr, slab: number): void {
    this.verify(object, slab, false, 'alloc');
    this.track(object, 0);
    this.mark(object, true);
  }

  /**
   * Checks an object that is being freed, and marks it as free. Throws where something is wrong.
   */
  mayFree(object: PhysAddr, slab: number): boolean {
    const at = object - this.slabs.objectAt(slab, 0);
    if (at < 0 || at % this.layout.size !== 0) this.report(object, slab, 'Invalid object pointer');
    if (this.slabs.chain(this.slabs.firstFree(slab), slab).includes(object)) {
      this.report(object, slab, 'Object already free');
    }
    this.verify(object, slab, true, 'free');
    this.track(object, 1);
    this.mark(object, false);
    return true;
  }

  /** Checks all objects of a slab; `free` are the free ones. */
  checkSlab(slab: number, free: readonly PhysAddr[]): void {
    const isFree = new Set(free);
    for (let i = 0; i < this.slabs.objectsOf(slab); i++) {
      const object = this.slabs.objectAt(slab, i);
      this.verify(object, slab, !isFree.has(object), 'check');
    }
  }

  private mark(object: number, active: boolean): void {
    const { objectSize, inuse, redLeft } = this.layout;
    if ((this.flags & SLAB_RED_ZONE) !== 0) {
      const red = active ? RED_ACTIVE : RED_INACTIVE;
      this.fill(object - redLeft, redLeft, red);
      this.fill(object + objectSize, inuse - objectSize, red);
    }
    if ((this.flags & SLAB_POISON) === 0 || active) return;
    this.fill(object, objectSize - 1, POISON_FREE);
    this.fill(object + objectSize - 1, 1, POISON_END);
  }

  private verify(object: number, slab: number, active: boolean, doing: string): void {
    const { objectSize, inuse, redLeft } = this.layout;
    if ((this.flags & SLAB_RED_ZONE) !== 0) {
      const red = active ? RED_ACTIVE : RED_INACTIVE;
      this.expect(object, slab, -redLeft, redLeft, red, 'Left Redzone', doing);
      const right = inuse - objectSize;
      this.expect(object, slab, objectSize, right, red, 'Right Redzone', doing);
    }
    if ((this.flags & SLAB_POISON) === 0 || active) return;
    this.expect(object, slab, 0, objectSize - 1, POISON_FREE, 'Poison', doing);
    this.expect(object, slab, objectSize - 1, 1, POISON_END, 'Poison', doing);
  }

  private expect(
    object: number,
    slab: number,
    offset: number,
    length: number,
    byte: number,
    zone: string,
    doing: string,
  ): void {
    const { mem } = this.alloc;
    for (let at = object + offset; at < object + offset + length;) {
      // to the end of the frame at the most
      const n = Math.min(object + offset + length - at, PAGE_SIZE - (at & 0xfff));
      const first = mem.readable(Math.floor(at / PAGE_SIZE)) * 4 + (at & 0xfff);
      for (let i = 0; i < n; i++) {
        const found = mem.bytes[first + i];
        if (found === byte) continue;
        const place = at + i - object;
        const where = place < 0 ? `${place}` : `+${place}`;
        const what = `byte at object${where} is 0x${found.toString(16)}`;
        this.report(
          object,
          slab,
          `${zone} overwritten (${doing}): ${what}, not 0x${byte.toString(16)}`,
        );
      }
      at += n;
    }
  }

  /** Notes who allocated (0) or freed (1) an object: CPU and event number. */
  private track(object: number, which: number): void {
    this.events++;
    if ((this.flags & SLAB_STORE_USER) === 0) return;
    const { words } = this.alloc.mem;
    words[this.trackWord(object, which, TRACK_CPU)] = this.alloc.cpu;
    words[this.trackWord(object, which, TRACK_WHEN)] = this.events;
  }

  private trackWord(object: number, which: number, field: number): number {
    const at = object + this.layout.track + which * TRACK_SIZE + field;
    return this.alloc.mem.writable(Math.floor(at / PAGE_SIZE)) + ((at & 0xfff) >> 2);
  }

  private report(object: number, slab: number, problem: string): never {
    const index = Math.floor((object - slab * PAGE_SIZE) / this.layout.size);
    const lines = [
      `BUG ${this.name}: ${problem}`,
      `  object 0x${object.toString(16)}, number ${index} of slab at frame ${slab}: ` +
        `${this.slabs.inUseOf(slab)} of ${this.slabs.objectsOf(slab)} objects in use`,
    ];
    if ((this.flags & SLAB_STORE_USER) !== 0) {
      for (const [which, what] of ['allocated', 'freed'].entries()) {
        const { words } = this.alloc.mem;
        const cpu = words[this.trackWord(object, which, TRACK_CPU)];
        const when = words[this.trackWord(object, which, TRACK_WHEN)];
        if (when !== 0) lines.push(`  ${what} on CPU ${cpu}, event ${when}`);
      }
    }
    throw new KernelBug(lines.join('\n'));
  }

  private fill(address: number, length: number, byte: number): void {
    const { mem } = this.alloc;
    for (let at = address; at < address + length;) {
      const n = Math.min(address + length - at, PAGE_SIZE - (at & 0xfff));
      const first = mem.writable(Math.floor(at / PAGE_SIZE)) * 4 + (at & 0xfff);
      mem.bytes.fill(byte, first, first + n);
      at += n;
    }
  }
}
