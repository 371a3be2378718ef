// Tracepoints: what happened, seen from outside. Off by default; off costs one test.
//
//     if (trace.on) trace.emit(mm_page_alloc, pfn, order, gfp);
//
// A tracepoint is a number; its name and its fields' names (Linux's, where Linux has them) stand
// in TRACEPOINTS. Events go to a ring buffer of numbers and to subscribers, in order.
// Invariant: the ring holds the last `capacity` events at most, oldest first.
// Source: Linux 6.18 include/trace/events/{kmem,exceptions,vmscan,tlb,huge_memory,oom}.h.

interface Tracepoint {
  readonly name: string;
  readonly fields: readonly string[];
}

export const page_fault_user = 0;
export const page_fault_kernel = 1;
export const mm_page_alloc = 2;
export const mm_page_free = 3;
export const kmem_cache_alloc = 4;
export const kmem_cache_free = 5;
export const mm_filemap_add_to_page_cache = 6;
export const mm_filemap_delete_from_page_cache = 7;
export const tlb_flush = 8;
export const mm_fault_anon = 9;
export const mm_fault_zero = 10;
export const mm_fault_copy = 11;
export const mm_fault_reuse = 12;
export const mm_filemap_map_pages = 13;
export const mm_vmscan_kswapd_sleep = 14;
export const mm_vmscan_kswapd_wake = 15;
export const mm_vmscan_direct_reclaim_begin = 16;
export const mm_vmscan_direct_reclaim_end = 17;
export const mm_vmscan_memcg_reclaim_begin = 18;
export const mm_vmscan_memcg_reclaim_end = 19;
export const mm_vmscan_lru_shrink_inactive = 20;
export const mm_vmscan_write_folio = 21;
export const mark_victim = 22;

export const TRACEPOINTS: readonly Tracepoint[] = [
  { name: 'page_fault_user', fields: ['address', 'error_code'] },
  { name: 'page_fault_kernel', fields: ['address', 'error_code'] },
  { name: 'mm_page_alloc', fields: ['pfn', 'order', 'gfp_flags'] },
  { name: 'mm_page_free', fields: ['pfn', 'order'] },
  { name: 'kmem_cache_alloc', fields: ['cache', 'ptr'] },
  { name: 'kmem_cache_free', fields: ['cache', 'ptr'] },
  { name: 'mm_filemap_add_to_page_cache', fields: ['owner', 'index', 'pfn'] },
  { name: 'mm_filemap_delete_from_page_cache', fields: ['owner', 'index', 'pfn'] },
  { name: 'tlb_flush', fields: ['reason', 'pages'] },
  // Linux has no tracepoints for what a fault did; these are ours.
  { name: 'mm_fault_anon', fields: ['address', 'pfn', 'order'] },
  { name: 'mm_fault_zero', fields: ['address'] },
  { name: 'mm_fault_copy', fields: ['address', 'from', 'to'] },
  { name: 'mm_fault_reuse', fields: ['address', 'pfn'] },
  { name: 'mm_filemap_map_pages', fields: ['owner', 'first', 'last'] },
  { name: 'mm_vmscan_kswapd_sleep', fields: ['nid'] },
  { name: 'mm_vmscan_kswapd_wake', fields: ['nid', 'zid', 'order'] },
  { name: 'mm_vmscan_direct_reclaim_begin', fields: ['order', 'gfp_flags'] },
  { name: 'mm_vmscan_direct_reclaim_end', fields: ['nr_reclaimed'] },
  { name: 'mm_vmscan_memcg_reclaim_begin', fields: ['order', 'gfp_flags'] },
  { name: 'mm_vmscan_memcg_reclaim_end', fields: ['nr_reclaimed'] },
  { name: 'mm_vmscan_lru_shrink_inactive', fields: ['nid', 'nr_scanned', 'nr_reclaimed'] },
  { name: 'mm_vmscan_write_folio', fields: ['pfn', 'reclaim_flags'] },
  { name: 'mark_victim', fields: ['pid'] },
];

/** Numbers of one event in the ring: its tracepoint, its time and up to three arguments. */
const EVENT_NUMBERS = 5;

/** Called for each event: tracepoint, time in emulated ns, arguments. */
export type Subscriber = (point: number, timeNs: number, a: number, b: number, c: number) => void;

export class Trace {
  /** True where anyone listens: the one test on a hot path. */
  on = false;
  /** How many listen: a number is tested faster than a boolean where that counts. */
  listeners = 0;
  /** Emulated time in ns; whoever runs the machine advances it. */
  timeNs = 0;
  private readonly ring: Float64Array;
  private readonly subscribers: Subscriber[] = [];
  private count = 0;

  /** @param capacity events that the ring keeps. */
  constructor(capacity = 4096) {
    this.ring = new Float64Array(capacity * EVENT_NUMBERS);
  }

  /** Records an event; call only where `on`. */
  emit(point: number, a = 0, b = 0, c = 0): void {
    const at = (this.count++ * EVENT_NUMBERS) % this.ring.length;
    this.ring[at] = point;
    this.ring[at + 1] = this.timeNs;
    this.ring[at + 2] = a;
    this.ring[at + 3] = b;
    this.ring[at + 4] = c;
    for (const s of this.subscribers) s(point, this.timeNs, a, b, c);
  }

  /** Switches tracing on and calls `s` for each event from now on. */
  subscribe(s: Subscriber): void {
    this.subscribers.push(s);
    this.on = true;
    this.listeners++;
  }

  /** Undoes subscribe(); without subscribers tracing is off again. */
  unsubscribe(s: Subscriber): void {
    const i = this.subscribers.indexOf(s);
    if (i >= 0) this.subscribers.splice(i, 1);
    this.listeners = this.subscribers.length;
    this.on = this.listeners > 0;
  }

  /** The kept events, oldest first, as `name(field=value …)` texts: for people, not for speed. */
  tail(): string[] {
    const capacity = this.ring.length / EVENT_NUMBERS;
    const first = Math.max(0, this.count - capacity);
    const out: string[] = [];
    for (let n = first; n < this.count; n++) {
      const at = (n * EVENT_NUMBERS) % this.ring.length;
      const point = TRACEPOINTS[this.ring[at]];
      const args = point.fields.map((f, i) => `${f}=${this.ring[at + 2 + i]}`);
      out.push(`${point.name}(${args.join(' ')})`);
    }
    return out;
  }
}
