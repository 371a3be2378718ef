// One object of a Go heap: its slot, its bits, and which of its words are pointers.
//
// Which words are pointers is read where the runtime keeps it: bits at the span's end, a type word
// before the object, or the arena's bitmap (runtime/go/mbitmap.ts tells which and when).

import { MAX_BITS_IN_SPAN } from '../../runtime/go/mbitmap.ts';
import type { GoRuntime } from '../../runtime/go/runtime.ts';
import type { Mm } from '../../userspace/mm.ts';
import { goSpanAt, SLOT_ALLOCATED, SLOT_MARKED, type GoSpan } from './go.ts';
import { Peek } from './peek.ts';

export interface GoWord {
  /** Bytes from the slot's start. */
  readonly offset: number;
  /** 16 hexadecimal digits. */
  readonly hex: string;
  readonly isPointer: boolean;
  /** Where it points to; 0 for no pointer or nil. */
  readonly target: number;
}

export interface GoObject {
  readonly slot: number;
  readonly address: number;
  readonly size: number;
  readonly allocated: boolean;
  readonly marked: boolean;
  readonly pointers: number;
  /** Words of the slot, MOST_WORDS at most. */
  readonly words: readonly GoWord[];
}

const MOST_WORDS = 64;

/** The object that an address lies in, and its span; undefined outside of spans of objects. */
export function goObjectAt(
  go: GoRuntime,
  mm: Mm,
  va: number,
): { span: GoSpan; object: GoObject | undefined } | undefined {
  const span = goSpanAt(go, mm, va);
  if (span === undefined) return undefined;
  const slot = span.size === 0 ? -1 : Math.floor((va - span.start) / span.size);
  if (span.state !== 'in use' || slot < 0 || slot >= span.nelems) {
    return { span, object: undefined };
  }
  const address = span.start + slot * span.size;
  const peek = new Peek(mm);
  const bits = span.slots[slot] ?? 0;
  const isPointer = pointerTest(go, peek, span, address);
  const words: GoWord[] = [];
  let pointers = 0;
  for (let offset = 0; offset < span.size && words.length < MOST_WORDS; offset += 8) {
    const lo = peek.load32(address + offset) >>> 0;
    const hi = peek.load32(address + offset + 4) >>> 0;
    const pointer = isPointer(offset / 8);
    if (pointer) pointers++;
    const digits = (n: number): string => n.toString(16).padStart(8, '0');
    const target = pointer && hi < 0x8000 ? hi * 2 ** 32 + lo : 0;
    words.push({
      offset,
      hex: digits(hi) + digits(lo),
      isPointer: pointer,
      target,
    });
  }
  return {
    span,
    object: {
      slot,
      address,
      size: span.size,
      allocated: (bits & SLOT_ALLOCATED) !== 0,
      marked: (bits & SLOT_MARKED) !== 0,
      pointers,
      words,
    },
  };
}

/** Says of word i of the object whether it is a pointer. */
export function pointerTest(
  go: GoRuntime,
  peek: Peek,
  span: GoSpan,
  address: number,
): (word: number) => boolean {
  if (span.noscan) return () => false;
  const { profile } = go;
  if (profile.arenaBitmap) {
    return (word) => {
      const w = (address - go.sys.heapBase) / 8 + word;
      return ((peek.load8(go.heap.arenas.bitmapByte(w)) >> (w & 3)) & 1) !== 0;
    };
  }
  if (span.size <= MAX_BITS_IN_SPAN) {
    const bits = go.sys.addressOf(go.bitmaps.bitsStart(span.number));
    const first = (address - span.start) / 8;
    return (word) => {
      const n = first + word;
      return (peek.load8(bits + (n >> 3)) & (1 << (n & 7))) !== 0;
    };
  }
  const isLarge = span.spanclass >> 1 === 0;
  const header = isLarge ? (go.heap.spans.largeType[span.number] ?? 0) : peek.load64(address);
  const type = go.types.numberOf(header);
  if (!Number.isInteger(type) || type < 0 || type >= go.types.layouts.length) return () => false;
  const skip = isLarge ? 0 : 1;
  return (word) => word >= skip && go.types.isPointer(type, word - skip);
}
