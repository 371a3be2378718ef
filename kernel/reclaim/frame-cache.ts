// A reference string in a few frames, decided by a ReplacementPolicy: the kernel's own policies in
// the laboratory.
//
//     reference --> frameOf[page]   there: its frame's bits are set, as an MMU does it
//                   not there: a fault; into a free frame, or the one that the policy gives up
//
// A shadow that the policy leaves for a page is given back to it when the page returns.

import { assert } from '../errors.ts';
import { PageLists } from '../list.ts';
import { MemMap, PAGE_RECORD } from '../page.ts';
import type { Prng } from '../prng.ts';
import { NR_PAGE_EVENTS } from './page_events.ts';
import type { MakePolicy, References, ReplacementPolicy, ScanControl } from './policy.ts';

/** What a policy asks of the frames of a reference string: the bits are REF_READ, REF_WRITE. */
class FrameBits implements ScanControl {
  readonly priority = 0;
  readonly swappiness = 60;
  readonly maySwap = true;
  readonly global = false;
  readonly wanted = 1;
  readonly bits: Uint8Array;

  constructor(frames: number) {
    this.bits = new Uint8Array(frames);
  }

  wasUsed(frame: number): number {
    const was = this.bits[frame] & 1;
    this.bits[frame] &= ~1;
    return was;
  }

  isDirty(frame: number): boolean {
    return (this.bits[frame] & 2) !== 0;
  }
}

/** Faults of a policy that decides by accessed bits. */
export function faultsOf(make: MakePolicy, refs: References, frames: number, prng: Prng): number {
  const { pages, kinds, nrPages } = refs;
  const map = new MemMap(frames);
  const context = {
    pages: map,
    lists: PageLists.ofFrames(map),
    note: new Uint8Array(frames),
    prng,
    events: new Float64Array(NR_PAGE_EVENTS),
  };
  const policy = make(context, 0);
  const control = new FrameBits(frames);
  const { bits } = control;
  const frameOf = new Int32Array(nrPages).fill(-1);
  const pageOf = new Int32Array(frames);
  const shadows = new Int32Array(nrPages);
  const victims = new Int32Array(1);
  let used = 0;
  let faults = 0;
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i];
    let frame = frameOf[page];
    if (frame >= 0) {
      bits[frame] |= kinds[i];
      continue;
    }
    faults++;
    if (used < frames) frame = used++;
    else {
      frame = evict(policy, control, victims);
      shadows[pageOf[frame]] = policy.onEvict(frame);
      frameOf[pageOf[frame]] = -1;
      map.words[frame * PAGE_RECORD] = 0;
    }
    bits[frame] = kinds[i];
    frameOf[page] = frame;
    pageOf[frame] = page;
    policy.onAdd(frame, shadows[page]);
  }
  policy.check();
  return faults;
}

/** Rounds until the policy gives a frame up; the second one must. */
function evict(policy: ReplacementPolicy, control: ScanControl, victims: Int32Array): number {
  for (let round = 0; round < 3; round++) {
    policy.begin(control);
    for (let n = 0; n >= 0;) {
      n = policy.pick(victims, control);
      if (n > 0) return victims[0];
    }
  }
  assert(false, `${policy.name} gives up a frame when all are full`);
  return -1;
}
