// Multi-generational LRU: pages in generations by age, and only whole generations are compared.
//
//     minSeq                      maxSeq
//       |  oldest |   …   | youngest |        four at most, of anonymous and of file pages each
//          evict                  new pages, and used ones when all are looked at ("ageing")
//
// Eviction takes pages off the oldest generation; one that was used meanwhile goes to the youngest
// instead. An empty oldest generation is given up. When only the youngest is left besides it, all
// older pages are looked at: used ones become the youngest, and a new generation begins. Which
// kind of page is evicted: the one that comes back less often, by swappiness.
// Invariants (check()): 2 <= generations <= 4; note[pfn] names the list that a frame is on.
// Source: Linux 6.18 mm/vmscan.c: lru_gen_add_folio(), try_to_inc_max_seq(), sort_folio(),
// isolate_folios(); Documentation/mm/multigen_lru.rst.
// Not modelled: tiers (file pages read by descriptor), Bloom filters, ageing by page-table walks.

import { assert } from '../errors.ts';
import { PG_swapbacked } from '../page.ts';
import { scanBudget } from './budget.ts';
import { WORKINGSET_REFAULT } from './page_events.ts';
import {
  DEF_PRIORITY,
  type PolicyContext,
  type ReplacementPolicy,
  type ScanControl,
} from './policy.ts';

const MIN_NR_GENS = 2;
const MAX_NR_GENS = 4;
const ANON = 0;
const FILE = 1;

export class MgLru implements ReplacementPolicy {
  readonly name = 'mglru';
  private readonly context: PolicyContext;
  /** Lists first .. first + 7: type * 4 + seq % 4. */
  private readonly first: number;
  private maxSeq = MIN_NR_GENS;
  private readonly minSeq = new Float64Array(2);
  /** Pages of each type that were evicted, and came back, fading with each generation. */
  private readonly evicted = new Float64Array(2);
  private readonly refaulted = new Float64Array(2);
  private budget = 0;

  constructor(context: PolicyContext) {
    this.context = context;
    this.first = context.lists.make(2 * MAX_NR_GENS);
    this.minSeq.fill(1);
  }

  get size(): number {
    const { length } = this.context.lists;
    let n = 0;
    for (let k = 0; k < 2 * MAX_NR_GENS; k++) n += length[this.first + k];
    return n;
  }

  onAdd(pfn: number, shadow: number): void {
    const type = this.typeOf(pfn);
    if (shadow !== 0) {
      this.refaulted[type]++;
      this.context.events[WORKINGSET_REFAULT + type]++;
    }
    this.put(pfn, type, this.maxSeq);
  }

  onRemove(pfn: number): void {
    this.context.lists.remove(this.first + this.context.note[pfn], pfn);
  }

  begin(control: ScanControl): void {
    const most = control.global ? DEF_PRIORITY : DEF_PRIORITY - 2;
    // Twice round in the last one: all pages may have been used.
    this.budget = scanBudget(2 * this.size, Math.min(control.priority, most));
  }

  pick(victims: Int32Array, control: ScanControl): number {
    const type = this.typeToScan(control);
    let n = this.pickOf(type, victims, control);
    if (n === 0 && control.maySwap) n = this.pickOf(1 - type, victims, control);
    return n > 0 ? n : -1;
  }

  onKeep(pfn: number): void {
    this.put(pfn, this.typeOf(pfn), this.maxSeq - 1);
  }

  onEvict(pfn: number): number {
    const type = this.typeOf(pfn);
    this.evicted[type]++;
    return 1 + (this.minSeq[type] % 0xffff);
  }

  check(): void {
    const { lists, note } = this.context;
    for (let k = 0; k < 2 * MAX_NR_GENS; k++) {
      lists.check(this.first + k, (pfn) => {
        assert(note[pfn] === k, `mglru: frame ${pfn} is on list ${k}, noted ${note[pfn]}`);
      });
    }
    for (const seq of this.minSeq) {
      const nr = this.maxSeq - seq + 1;
      assert(nr >= MIN_NR_GENS && nr <= MAX_NR_GENS, `mglru: ${nr} generations`);
    }
  }

  private typeOf(pfn: number): number {
    return (this.context.pages.flags(pfn) & PG_swapbacked) !== 0 ? ANON : FILE;
  }

  private put(pfn: number, type: number, seq: number): void {
    const k = type * MAX_NR_GENS + (seq % MAX_NR_GENS);
    this.context.note[pfn] = k;
    this.context.lists.pushHead(this.first + k, pfn);
  }

  private count(type: number): number {
    const { length } = this.context.lists;
    let n = 0;
    for (let k = 0; k < MAX_NR_GENS; k++) n += length[this.first + type * MAX_NR_GENS + k];
    return n;
  }

  private typeToScan(control: ScanControl): number {
    if (!control.maySwap || this.count(ANON) === 0) return FILE;
    if (this.count(FILE) === 0) return ANON;
    // A type is cheap to evict if few of its pages come back; swappiness weighs the two.
    const anon =
      ((this.refaulted[ANON] + 1) / (this.evicted[ANON] + 64)) * (200 - control.swappiness);
    const file = ((this.refaulted[FILE] + 1) / (this.evicted[FILE] + 64)) * control.swappiness;
    return anon < file ? ANON : FILE;
  }

  /** Takes unused pages of one type off its oldest generation. @returns how many. */
  private pickOf(type: number, victims: Int32Array, control: ScanControl): number {
    const { lists } = this.context;
    let n = 0;
    let aged = 0;
    while (n < victims.length && this.budget > 0) {
      const list = this.first + type * MAX_NR_GENS + (this.minSeq[type] % MAX_NR_GENS);
      const pfn = lists.tail[list];
      if (pfn < 0) {
        if (this.minSeq[type] + 1 < this.maxSeq) this.minSeq[type]++;
        else if (this.count(type) === 0 || aged++ === 2) break;
        else this.age(control);
        continue;
      }
      this.budget--;
      lists.remove(list, pfn);
      if (control.wasUsed(pfn) !== 0) this.put(pfn, type, this.maxSeq);
      else victims[n++] = pfn;
    }
    return n;
  }

  /** Looks at all pages but the youngest and begins a new generation. */
  private age(control: ScanControl): void {
    const { lists } = this.context;
    for (let type = ANON; type <= FILE; type++) {
      for (let seq = this.minSeq[type]; seq < this.maxSeq; seq++) {
        const list = this.first + type * MAX_NR_GENS + (seq % MAX_NR_GENS);
        for (let pfn = lists.tail[list]; pfn >= 0;) {
          const before = lists.prev(pfn);
          if (control.wasUsed(pfn) !== 0) {
            lists.remove(list, pfn);
            this.put(pfn, type, this.maxSeq);
          }
          pfn = before;
        }
      }
      if (this.maxSeq - this.minSeq[type] + 1 === MAX_NR_GENS) this.merge(type);
      this.evicted[type] /= 2;
      this.refaulted[type] /= 2;
    }
    this.maxSeq++;
  }

  /** Makes room for one more generation: the oldest joins the one after it. */
  private merge(type: number): void {
    const { lists } = this.context;
    const from = this.first + type * MAX_NR_GENS + (this.minSeq[type] % MAX_NR_GENS);
    this.minSeq[type]++;
    const k = type * MAX_NR_GENS + (this.minSeq[type] % MAX_NR_GENS);
    while (lists.length[from] > 0) {
      const pfn = lists.head[from];
      lists.moveToTail(from, this.first + k, pfn);
      this.context.note[pfn] = k;
    }
  }
}
