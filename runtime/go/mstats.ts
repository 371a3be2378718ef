// What the runtime reports of itself: MemStats, and the lines of GODEBUG=gctrace=1.
//
// Identities (check()):
//   Sys = HeapSys + StackSys + MSpanSys + MCacheSys + BuckHashSys + GCSys + OtherSys
//   HeapSys = HeapInuse + HeapIdle        HeapReleased <= HeapIdle
//   HeapObjects = Mallocs - Frees         HeapAlloc = TotalAlloc - bytes freed
//
// Source: Go 1.26.8 src/runtime/mstats.go (readmemstats_m), mgc.go (gctrace), metrics.go (names).

import { assert } from '../../kernel/errors.ts';
import type { CycleReport } from './mgc.ts';
import type { GoRuntime } from './runtime.ts';
import {
  S_BUCKHASH,
  S_FREE,
  S_GCMISC,
  S_INSTACKS,
  S_INUSE,
  S_MCACHE,
  S_MSPAN,
  S_OTHER,
  S_RELEASED,
  S_STACKS,
  S_WORKBUFS,
} from './sys.ts';

/** Entries of BySize: larger classes are not in it. */
export const BY_SIZE = 61;

/** runtime.MemStats, less what is about time; bytes unless named otherwise. */
export interface MemStats {
  readonly Alloc: number;
  readonly TotalAlloc: number;
  readonly Sys: number;
  readonly Mallocs: number;
  readonly Frees: number;
  readonly HeapAlloc: number;
  readonly HeapSys: number;
  readonly HeapIdle: number;
  readonly HeapInuse: number;
  readonly HeapReleased: number;
  readonly HeapObjects: number;
  readonly StackInuse: number;
  readonly StackSys: number;
  readonly MSpanInuse: number;
  readonly MSpanSys: number;
  readonly MCacheInuse: number;
  readonly MCacheSys: number;
  readonly BuckHashSys: number;
  readonly GCSys: number;
  readonly OtherSys: number;
  readonly NextGC: number;
  readonly NumGC: number;
  readonly NumForcedGC: number;
  /** [size, mallocs, frees] of every class with a malloc. */
  readonly BySize: readonly (readonly [number, number, number])[];
}

/** runtime.ReadMemStats: flushes the caches, then reads. */
export function readMemStats(go: GoRuntime): MemStats {
  go.flushCaches();
  const { stats, sys, gc, pacer, heap, profile } = go;
  const { stat } = sys;
  let mallocs = stats.largeAllocCount + stats.tinyAllocs;
  let frees = stats.largeFreeCount + stats.tinyAllocs;
  let total = stats.largeAlloc;
  let freed = stats.largeFree;
  const bySize: [number, number, number][] = [];
  for (let c = 1; c < profile.classes.count; c++) {
    const size = profile.classes.size[c];
    mallocs += stats.smallAlloc[c];
    frees += stats.smallFree[c];
    total += stats.smallAlloc[c] * size;
    freed += stats.smallFree[c] * size;
    if (c < BY_SIZE && stats.smallAlloc[c] > 0)
      bySize.push([size, stats.smallAlloc[c], stats.smallFree[c]]);
  }
  const heapSys = stat[S_INUSE] + stat[S_FREE] + stat[S_RELEASED];
  const stackSys = stat[S_INSTACKS] + stat[S_STACKS];
  const gcSys = stat[S_GCMISC] + stat[S_WORKBUFS];
  const records = stat[S_MSPAN] + stat[S_MCACHE] + stat[S_BUCKHASH];
  return {
    Alloc: total - freed,
    TotalAlloc: total,
    Sys: heapSys + stackSys + records + gcSys + stat[S_OTHER],
    Mallocs: mallocs,
    Frees: frees,
    HeapAlloc: total - freed,
    HeapSys: heapSys,
    HeapIdle: stat[S_FREE] + stat[S_RELEASED],
    HeapInuse: stat[S_INUSE],
    HeapReleased: stat[S_RELEASED],
    HeapObjects: mallocs - frees,
    StackInuse: stat[S_INSTACKS],
    StackSys: stackSys,
    MSpanInuse: heap.records.inuse,
    MSpanSys: stat[S_MSPAN],
    MCacheInuse: heap.cacheAlloc.inuse,
    MCacheSys: stat[S_MCACHE],
    BuckHashSys: stat[S_BUCKHASH],
    GCSys: gcSys,
    OtherSys: stat[S_OTHER],
    NextGC: pacer.heapGoal,
    NumGC: gc.numGc,
    NumForcedGC: gc.numForced,
    BySize: bySize,
  };
}

/** The identities above, and that memory counted as ready is what is mapped and not released. */
export function checkMemStats(go: GoRuntime, m: MemStats): void {
  const parts = m.HeapSys + m.StackSys + m.MSpanSys + m.MCacheSys + m.BuckHashSys;
  assert(m.Sys === parts + m.GCSys + m.OtherSys, 'MemStats: Sys is the sum of its parts');
  assert(m.HeapSys === m.HeapInuse + m.HeapIdle, 'MemStats: HeapSys = HeapInuse + HeapIdle');
  assert(m.HeapReleased <= m.HeapIdle, 'MemStats: HeapReleased <= HeapIdle');
  assert(m.HeapObjects === m.Mallocs - m.Frees, 'MemStats: HeapObjects = Mallocs - Frees');
  assert(m.HeapAlloc <= m.HeapInuse, 'MemStats: HeapAlloc <= HeapInuse');
  assert(go.stats.totalAlloc === m.TotalAlloc, 'MemStats: TotalAlloc by span = by class');
  assert(go.sys.mappedReady === m.Sys - m.HeapReleased, 'MemStats: ready = mapped - released');
}

/** runtime/metrics: names and values of the memory classes and the collector. */
export function readMetrics(go: GoRuntime): Readonly<Record<string, number>> {
  const m = readMemStats(go);
  const { stat } = go.sys;
  const { waiting } = go.specials;
  return {
    '/gc/cleanups/executed:cleanups': go.specials.queuedCleanups - waiting.cleanups,
    '/gc/cleanups/queued:cleanups': go.specials.queuedCleanups,
    '/gc/cycles/automatic:gc-cycles': m.NumGC - m.NumForcedGC,
    '/gc/cycles/forced:gc-cycles': m.NumForcedGC,
    '/gc/cycles/total:gc-cycles': m.NumGC,
    '/gc/finalizers/executed:finalizers': go.specials.queuedFinalizers - waiting.finalizers,
    '/gc/finalizers/queued:finalizers': go.specials.queuedFinalizers,
    '/gc/gogc:percent': go.pacer.gcPercent,
    '/gc/gomemlimit:bytes': go.pacer.memoryLimit,
    '/gc/heap/allocs:bytes': m.TotalAlloc,
    '/gc/heap/allocs:objects': m.Mallocs - go.stats.tinyAllocs,
    '/gc/heap/frees:bytes': m.TotalAlloc - m.HeapAlloc,
    '/gc/heap/frees:objects': m.Frees - go.stats.tinyAllocs,
    '/gc/heap/goal:bytes': m.NextGC,
    '/gc/heap/live:bytes': go.pacer.heapMarked,
    '/gc/heap/objects:objects': m.HeapObjects,
    '/gc/heap/tiny/allocs:objects': go.stats.tinyAllocs,
    '/gc/scan/globals:bytes': go.pacer.globalsScan,
    '/gc/scan/heap:bytes': go.pacer.lastHeapScan,
    '/gc/scan/stack:bytes': go.pacer.lastStackScan,
    '/gc/scan/total:bytes': go.pacer.globalsScan + go.pacer.lastHeapScan + go.pacer.lastStackScan,
    '/memory/classes/heap/free:bytes': stat[S_FREE],
    '/memory/classes/heap/objects:bytes': m.HeapAlloc,
    '/memory/classes/heap/released:bytes': m.HeapReleased,
    '/memory/classes/heap/stacks:bytes': m.StackInuse,
    '/memory/classes/heap/unused:bytes': m.HeapInuse - m.HeapAlloc,
    '/memory/classes/metadata/mcache/free:bytes': m.MCacheSys - m.MCacheInuse,
    '/memory/classes/metadata/mcache/inuse:bytes': m.MCacheInuse,
    '/memory/classes/metadata/mspan/free:bytes': m.MSpanSys - m.MSpanInuse,
    '/memory/classes/metadata/mspan/inuse:bytes': m.MSpanInuse,
    '/memory/classes/metadata/other:bytes': m.GCSys,
    '/memory/classes/os-stacks:bytes': m.StackSys - m.StackInuse,
    '/memory/classes/other:bytes': m.OtherSys,
    '/memory/classes/profiling/buckets:bytes': m.BuckHashSys,
    '/memory/classes/total:bytes': m.Sys,
    '/sched/gomaxprocs:threads': go.procs.length,
  };
}

/** Times of a cycle, in nanoseconds. */
export interface CycleTimes {
  /** When it began, since the program's start, and the share of time spent collecting so far. */
  readonly startNs: number;
  readonly gcShare: number;
  readonly sweepTermNs: number;
  readonly markNs: number;
  readonly markTermNs: number;
  readonly assistNs: number;
  readonly backgroundNs: number;
  readonly idleNs: number;
  readonly procs: number;
}

/** The line that GODEBUG=gctrace=1 prints for a cycle. */
export function gcTraceLine(go: GoRuntime, r: CycleReport, t: CycleTimes): string {
  const mb = (bytes: number): string => String(Math.floor(bytes / 2 ** 20));
  const clock = [t.sweepTermNs, t.markNs, t.markTermNs].map(asMs).join('+');
  const marking = [t.assistNs, t.backgroundNs, t.idleNs].map(asMs).join('/');
  const cpu = [asMs(t.procs * t.sweepTermNs), marking, asMs(t.procs * t.markTermNs)].join('+');
  const heap = [r.heapStart, r.heapEnd, r.heapMarked].map(mb).join('->');
  const scanned = `${mb(go.pacer.lastStackScan)} MB stacks, ${mb(r.globals)} MB globals`;
  const at = `@${(Math.floor(t.startNs / 1e6) / 1000).toFixed(3)}s`;
  const head = `gc ${String(r.number)} ${at} ${String(Math.floor(t.gcShare * 100))}%`;
  const goal = `${mb(Math.min(r.goal, 2 ** 63))} MB goal`;
  const forced = r.forced ? ' (forced)' : '';
  const procs = `${String(t.procs)} P${forced}`;
  return `${head}: ${clock} ms clock, ${cpu} ms cpu, ${heap} MB, ${goal}, ${scanned}, ${procs}`;
}

/** Nanoseconds as milliseconds the way the runtime prints them: two or three digits. */
function asMs(ns: number): string {
  if (ns >= 10e6) return String(Math.floor(ns / 1e6));
  let x = Math.floor(ns / 1e3);
  if (x === 0) return '0';
  let digits = 3;
  for (; x >= 100; digits--) x = Math.floor(x / 10);
  return (x / 10 ** digits).toFixed(digits);
}
