// Replacement policies: the textbooks' strings, slow and obvious models, and one contract for all.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NR_PAGE_EVENTS } from '../../../kernel/reclaim/page_events.ts';
import { PageLists } from '../../../kernel/list.ts';
import { MemMap } from '../../../kernel/page.ts';
import { POLICIES, policyNamed } from '../../../kernel/reclaim/policies.ts';
import { faultsOf } from '../../../kernel/reclaim/frame-cache.ts';
import {
  REF_READ,
  REF_WRITE,
  type References,
  type ScanControl,
} from '../../../kernel/reclaim/policy.ts';
import { seeded } from '../../../tools/replace/seeded.ts';

const SILBERSCHATZ = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1];
const BELADY = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];

function references(pages: readonly number[]): References {
  const ids = new Map<number, number>();
  for (const p of pages) if (!ids.has(p)) ids.set(p, ids.size);
  return {
    pages: Int32Array.from(pages, (p) => ids.get(p) ?? 0),
    kinds: Uint8Array.from(pages, (_, i) => (i % 3 === 0 ? REF_WRITE : REF_READ)),
    nrPages: ids.size,
  };
}

function faults(name: string, pages: readonly number[], frames: number): number {
  const row = policyNamed(name);
  if (row === undefined) throw new Error(`no policy ${name}`);
  return row.faults(references(pages), frames, seeded(42));
}

test.each([
  ['fifo', 'Silberschatz', SILBERSCHATZ, 3, 15],
  ['lru', 'Silberschatz', SILBERSCHATZ, 3, 12],
  ['opt', 'Silberschatz', SILBERSCHATZ, 3, 9],
  ['fifo', 'Belady', BELADY, 3, 9],
  ['fifo', 'Belady', BELADY, 4, 10],
  ['lru', 'Belady', BELADY, 3, 10],
  ['lru', 'Belady', BELADY, 4, 8],
  ['opt', 'Belady', BELADY, 3, 7],
])('%s on the string of %s', (policy, _book, string, frames, expected) => {
  expect(faults(policy, string, frames)).toBe(expected);
});

/** Faults of a cache that `victim` empties; `cache` is in the order of arrival. */
function model(
  pages: readonly number[],
  frames: number,
  onHit: (cache: number[], page: number) => void,
  victim: (cache: number[], at: number) => number,
): number {
  const cache: number[] = [];
  let n = 0;
  pages.forEach((page, i) => {
    if (cache.includes(page)) {
      onHit(cache, page);
      return;
    }
    n++;
    if (cache.length === frames) cache.splice(cache.indexOf(victim(cache, i)), 1);
    cache.push(page);
  });
  return n;
}

const MODELS: Readonly<Record<string, (pages: readonly number[], frames: number) => number>> = {
  fifo: (pages, frames) =>
    model(
      pages,
      frames,
      () => undefined,
      (cache) => cache[0] ?? -1,
    ),
  lru: (pages, frames) =>
    model(
      pages,
      frames,
      (cache, page) => cache.push(...cache.splice(cache.indexOf(page), 1)),
      (cache) => cache[0] ?? -1,
    ),
  opt: (pages, frames) =>
    model(
      pages,
      frames,
      () => undefined,
      (cache, at) => {
        const next = (p: number): number => {
          const i = pages.indexOf(p, at);
          return i < 0 ? Infinity : i;
        };
        return cache.reduce((best, p) => (next(p) > next(best) ? p : best));
      },
    ),
  lfu: (pages, frames) => {
    const count = new Map<number, number>();
    return model(
      pages,
      frames,
      (cache, page) => {
        count.set(page, (count.get(page) ?? 1) + 1);
        cache.push(...cache.splice(cache.indexOf(page), 1));
      },
      (cache) => {
        const of = (p: number): number => count.get(p) ?? 1;
        const worst = cache.reduce((best, p) => (of(p) < of(best) ? p : best));
        count.delete(worst);
        return worst;
      },
    );
  },
};

const strings = fc.array(fc.nat(11), { minLength: 1, maxLength: 120 });

describe('policies and slow models', () => {
  test.each(Object.keys(MODELS))('%s', (name) => {
    fc.assert(
      fc.property(strings, fc.integer({ min: 1, max: 9 }), (pages, frames) => {
        expect(faults(name, pages, frames)).toBe(MODELS[name](pages, frames));
      }),
      { seed: 42, numRuns: 300 },
    );
  });

  test('FIFO and CLOCK give the same by their classes and by their loops', () => {
    fc.assert(
      fc.property(strings, fc.integer({ min: 1, max: 9 }), (pages, frames) => {
        for (const name of ['fifo', 'clock']) {
          const row = policyNamed(name);
          const refs = references(pages);
          const byClass = row?.make && faultsOf(row.make, refs, frames, seeded(1));
          expect(byClass).toBe(row?.faults(refs, frames, seeded(1)));
        }
        expect(faults('second-chance', pages, frames)).toBe(faults('clock', pages, frames));
      }),
      { seed: 42, numRuns: 300 },
    );
  });
});

describe('every policy', () => {
  test.each(POLICIES.map((row) => row.name))(
    '%s: no better than OPT, no worse than none',
    (name) => {
      fc.assert(
        fc.property(strings, fc.integer({ min: 1, max: 9 }), (pages, frames) => {
          const n = faults(name, pages, frames);
          const distinct = new Set(pages).size;
          expect(n).toBeGreaterThanOrEqual(faults('opt', pages, frames));
          expect(n).toBeLessThanOrEqual(pages.length);
          if (frames >= distinct) expect(n).toBe(distinct);
          expect(faults(name, pages, frames)).toBe(n); // same seed, same faults
        }),
        { seed: 42, numRuns: 200 },
      );
    },
  );
});

/** Accessed bits that a test sets. */
class Bits implements ScanControl {
  readonly priority = 0;
  readonly swappiness = 60;
  readonly maySwap = true;
  readonly global = true;
  readonly wanted = 0;
  readonly used = new Set<number>();
  wasUsed(pfn: number): number {
    return this.used.delete(pfn) ? 1 : 0;
  }
  isDirty(pfn: number): boolean {
    return pfn % 5 === 0;
  }
}

describe('the contract of policies that decide by accessed bits', () => {
  const rows = POLICIES.flatMap((row) =>
    row.make === undefined ? [] : [{ name: row.name, make: row.make }],
  );
  test.each(rows)('$name: no frame lost, none picked twice', ({ make }) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(39)), { maxLength: 200 }), (steps) => {
        const pages = new MemMap(40);
        const note = new Uint8Array(40);
        const lists = PageLists.ofFrames(pages);
        const events = new Float64Array(NR_PAGE_EVENTS);
        const policy = make({ pages, lists, note, prng: seeded(7), events }, 0);
        const control = new Bits();
        const listed = new Set<number>();
        const victims = new Int32Array(8);
        for (const [what, pfn] of steps) {
          if (what < 3 && !listed.has(pfn)) {
            policy.onAdd(pfn, 0);
            listed.add(pfn);
          } else if (what === 3 && listed.delete(pfn)) policy.onRemove(pfn);
          else if (what === 4) control.used.add(pfn);
          else if (what === 5) {
            policy.begin(control);
            const n = policy.pick(victims, control);
            const picked = [...victims.subarray(0, Math.max(0, n))];
            expect(new Set(picked).size).toBe(picked.length);
            for (const [i, victim] of picked.entries()) {
              expect(listed.has(victim)).toBe(true);
              if (i % 2 === 0) policy.onKeep(victim);
              else {
                expect(policy.onEvict(victim)).not.toBe(0);
                listed.delete(victim);
              }
            }
          }
          policy.check();
          expect(policy.size).toBe(listed.size);
        }
      }),
      { seed: 42, numRuns: 100 },
    );
  });
});
