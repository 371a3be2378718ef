// zswap: a pool of compressed pages in RAM, in front of the swap devices.
//
//     page goes to swap --> compressed --> pool            (zswpout)
//         the pool is full            --> the longest-stored pages go to their device  (zswpwb)
//         it does not get smaller     --> stored as it is, which costs a frame
//     page comes back  <-- decompressed (zswpin); the object goes with its slot
//
// The pool's memory is real: whole frames for the bytes of all objects, each rounded up to a size
// class of 16 bytes. It may be maxPoolPercent of RAM; once it was full, nothing is stored until it
// is below acceptThresholdPercent of that.
// Invariants (check()): bytes = the rounded sizes of all objects; frames = what they need.
// Source: Linux 6.18 mm/zswap.c: zswap_store_page(), zswap_load(), shrink_worker();
// mm/zsmalloc.c for the size classes. Not modelled: the dynamic shrinker, fragmentation of
// zspages, several compressors at once. Which bytes a page becomes is the compressor's business.

import { assert } from './errors.ts';
import { GFP_KERNEL } from './gfp.ts';
import type { PhysMem } from './physmem.ts';
import type { FrameAllocator, PageCompressor } from './ports.ts';
import { ZSWPIN, ZSWPOUT, ZSWPWB, type VmStat } from './stats.ts';
import { NO_PFN, PAGE_SIZE, PAGE_WORDS, type Pfn } from './types.ts';

/** Distance between two size classes (ZS_SIZE_CLASS_DELTA). */
const CLASS_BYTES = 16;

export interface ZswapConfig {
  readonly compressor: PageCompressor;
  /** Most of RAM that the pool may take, in percent. */
  readonly maxPoolPercent?: number;
  readonly acceptThresholdPercent?: number;
}

/** Writes a page that leaves the pool to its device. */
export type PoolWriter = (slot: number, content: Int32Array) => void;

export class Zswap {
  /** Pages that were refused because the pool was full. */
  poolLimitHit = 0;
  private readonly compressor: PageCompressor;
  private readonly mem: PhysMem;
  private readonly alloc: FrameAllocator;
  private readonly stat: VmStat;
  private readonly maxFrames: number;
  private readonly acceptFrames: number;
  private readonly write: PoolWriter;
  /** Objects by slot number, the longest-stored first. */
  private readonly objects = new Map<number, Uint8Array>();
  private readonly frames: Pfn[] = [];
  private bytes = 0;
  private wasFull = false;
  private readonly page = new Int32Array(PAGE_WORDS);

  /** @param ramPages what maxPoolPercent is a part of. */
  constructor(
    config: ZswapConfig,
    machine: { mem: PhysMem; alloc: FrameAllocator; stat: VmStat },
    ramPages: number,
    write: PoolWriter,
  ) {
    this.compressor = config.compressor;
    this.mem = machine.mem;
    this.alloc = machine.alloc;
    this.stat = machine.stat;
    this.maxFrames = Math.floor((ramPages * (config.maxPoolPercent ?? 20)) / 100);
    const accept = config.acceptThresholdPercent ?? 90;
    this.acceptFrames = Math.floor((this.maxFrames * accept) / 100);
    this.write = write;
  }

  /** Frames that the pool takes (Zswap in meminfo). */
  get poolPages(): number {
    return this.frames.length;
  }

  /** Those of them in [start, end). */
  poolPagesIn(start: number, end: number): number {
    return this.frames.filter((pfn) => pfn >= start && pfn < end).length;
  }

  /** Pages that are stored (Zswapped). */
  get storedPages(): number {
    return this.objects.size;
  }

  /** Takes the content of a frame for a slot. @returns false where the device has to. */
  store(slot: number, pfn: Pfn): boolean {
    if (this.wasFull && this.frames.length > this.acceptFrames) return false;
    this.wasFull = false;
    if (this.frames.length >= this.maxFrames) {
      this.poolLimitHit++;
      this.wasFull = true;
      this.shrink();
      return false;
    }
    const at = this.mem.readable(pfn);
    this.page.set(this.mem.words.subarray(at, at + PAGE_WORDS));
    const plain = new Uint8Array(this.page.buffer);
    const packed = this.compressor.compress(plain);
    const object = packed.length < PAGE_SIZE ? packed : plain.slice();
    if (!this.grow(rounded(object))) return false;
    this.objects.set(slot, object);
    this.stat.counts[ZSWPOUT]++;
    return true;
  }

  /** Gives the content of a slot back; it is forgotten with drop(). */
  load(slot: number, pfn: Pfn): boolean {
    const object = this.objects.get(slot);
    if (object === undefined) return false;
    this.mem.words.set(this.unpack(object), this.mem.writable(pfn));
    this.stat.counts[ZSWPIN]++;
    return true;
  }

  /** The slot is free, or written anew. */
  drop(slot: number): void {
    const object = this.objects.get(slot);
    if (object === undefined) return;
    this.objects.delete(slot);
    this.bytes -= rounded(object);
    this.trim();
  }

  /** Gives frames back that the objects do not need. */
  private trim(): void {
    const needed = Math.ceil(this.bytes / PAGE_SIZE);
    for (let pfn = this.frames.pop(); pfn !== undefined; pfn = this.frames.pop()) {
      if (this.frames.length >= needed) this.alloc.free(pfn, 0);
      else {
        this.frames.push(pfn);
        break;
      }
    }
  }

  /** Throws KernelBug where the pool's books are wrong. */
  check(): void {
    let bytes = 0;
    for (const object of this.objects.values()) bytes += rounded(object);
    assert(bytes === this.bytes, `zswap: ${this.bytes} bytes counted, ${bytes} stored`);
    const frames = Math.ceil(bytes / PAGE_SIZE);
    assert(frames === this.frames.length, `zswap: ${this.frames.length} frames, not ${frames}`);
  }

  /** Writes the longest-stored pages to their devices until the pool takes pages again. */
  private shrink(): void {
    for (const [slot, object] of [...this.objects]) {
      if (this.frames.length <= this.acceptFrames) break;
      this.write(slot, this.unpack(object).slice());
      this.drop(slot);
      this.stat.counts[ZSWPWB]++;
    }
  }

  private grow(bytes: number): boolean {
    const needed = Math.ceil((this.bytes + bytes) / PAGE_SIZE);
    while (this.frames.length < needed) {
      const pfn = this.alloc.alloc(GFP_KERNEL, 0);
      if (pfn === NO_PFN) {
        this.trim();
        return false;
      }
      this.frames.push(pfn);
    }
    this.bytes += bytes;
    return true;
  }

  private unpack(object: Uint8Array): Int32Array {
    const plain = new Uint8Array(this.page.buffer);
    if (object.length === PAGE_SIZE) plain.set(object);
    else this.compressor.decompress(object, plain);
    return this.page;
  }
}

function rounded(object: Uint8Array): number {
  return Math.ceil(object.length / CLASS_BYTES) * CLASS_BYTES;
}
