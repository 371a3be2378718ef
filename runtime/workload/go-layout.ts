// How Go lays values out: sizes, alignment, and which words are pointers.
//
//   int, float 8   int32, float32 4   int16 2   bool, byte 1   map, pointer 8
//   string (pointer, length) 16   slice (pointer, length, capacity) 24
//   struct, tuple: fields in order, each aligned, the whole a multiple of its alignment
//
// Source: the Go specification, "Size and alignment guarantees"; linux/amd64.

import type { Kind, RecordType } from './heap.ts';

export interface Layout {
  readonly bytes: number;
  readonly align: number;
  /** Offsets of the words that are pointers. */
  readonly pointers: readonly number[];
}

const WORD: Layout = { bytes: 8, align: 8, pointers: [] };
const POINTER: Layout = { bytes: 8, align: 8, pointers: [0] };

const NARROW: Readonly<Partial<Record<string, number>>> = {
  bool: 1,
  byte: 1,
  int16: 2,
  int32: 4,
  float32: 4,
};

export interface StructLayout extends Layout {
  readonly offsets: readonly number[];
}

export function layoutOf(kind: Kind): Layout {
  if (typeof kind === 'string') {
    const narrow = NARROW[kind];
    if (narrow !== undefined) return { bytes: narrow, align: narrow, pointers: [] };
    if (kind === 'string') return { bytes: 16, align: 8, pointers: [0] };
    return kind === 'ref' ? POINTER : WORD;
  }
  if (kind.type === 'list') return { bytes: 24, align: 8, pointers: [0] };
  if (kind.type === 'map') return POINTER;
  if (kind.type === 'tuple') return structOf(kind.kinds);
  return structOf(recordKinds(kind));
}

function recordKinds(record: RecordType): Kind[] {
  return Object.values(record.fields).map((f) => f.kind);
}

export function structOf(kinds: readonly Kind[]): StructLayout {
  const offsets: number[] = [];
  const pointers: number[] = [];
  let at = 0;
  let align = 1;
  for (const layout of kinds.map(layoutOf)) {
    at = Math.ceil(at / layout.align) * layout.align;
    offsets.push(at);
    for (const p of layout.pointers) pointers.push(at + p);
    at += layout.bytes;
    align = Math.max(align, layout.align);
  }
  return { bytes: Math.ceil(at / align) * align, align, pointers, offsets };
}
