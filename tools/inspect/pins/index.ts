// "Who pins it": the places of a machine that cannot be given back, and who holds them.

import { asideOf } from '../python.ts';
import { processOf, type Subject, type SubjectProcess } from '../subject.ts';
import { goPinnedHeap } from './go-pins.ts';
import { heapPins, type PinnedHeap } from './heap-pins.ts';
import { physicalPin, slabPin, slabPlaces } from './kernel-pins.ts';
import { type Pins, type PinKind, totalOf, worstOf } from './pin.ts';
import { pythonPinnedHeap } from './python-pins.ts';

const HEAP_KINDS: readonly PinKind[] = ['arena', 'pool', 'span'];

/** Runs `look` over the heap of a process; undefined where it has none that can be read. */
function withHeap<T>(p: SubjectProcess, look: (heap: PinnedHeap) => T): T | undefined {
  if (p.heap?.runtime === 'go') return look(goPinnedHeap(p.heap.go, p.task.mm));
  return asideOf(p, (py) => look(pythonPinnedHeap(p, py)));
}

/** The n worst places of each kind: of a process's heap; with pid 0, the kernel's slabs. */
export function worstPins(subject: Subject, pid: number, n: number): Pins {
  if (pid === 0) {
    const places = slabPlaces(subject);
    const pins = worstOf(places, n).map((place) => slabPin(subject, place));
    return { totals: [totalOf('slab', places)], pins };
  }
  const p = processOf(subject, pid);
  const found = p === undefined ? undefined : withHeap(p, (heap) => worstOfHeap(heap, n));
  return found ?? { totals: [], pins: [] };
}

function worstOfHeap(heap: PinnedHeap, n: number): Pins {
  const kinds = HEAP_KINDS.map((kind) => heap.places.filter((p) => p.kind === kind));
  const used = kinds.filter((places) => places.length > 0);
  return {
    totals: used.map((places) => totalOf(places[0]?.kind ?? 'pool', places)),
    pins: heapPins(
      heap,
      used.flatMap((places) => worstOf(places, n)),
    ),
  };
}

/**
 * The places that an address lies in: of a process's heap (its pool and its arena, its span); else
 * of the physical address, its slab or block of frames.
 */
export function pinsAt(subject: Subject, pid: number, address: number): Pins {
  const p = processOf(subject, pid);
  const found =
    p === undefined
      ? undefined
      : withHeap(p, (heap) => {
          const around = heap.places.filter(
            (place) => address >= place.address && address < place.address + place.bytes,
          );
          return heapPins(heap, around);
        });
  if (found !== undefined && found.length > 0) return { totals: [], pins: found };
  const physical = physicalPin(subject, address);
  return { totals: [], pins: physical === undefined ? [] : [physical] };
}
