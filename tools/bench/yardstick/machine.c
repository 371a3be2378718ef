// Yardsticks: what this machine does in plain C, for the benchmarks to be compared with.
//
//   machine            reads names of yardsticks, one a line, and answers each with operations per
//                      second over one slice of at least 15 ms of CPU time; "?" for an unknown one
//
// tlb.*, walk.*: a software TLB and a four-level walk over page tables in one array, the same
// tables, frames and addresses as tools/bench/mmu.bench.ts. buddy.*: a buddy allocator with lists
// threaded through arrays. replay.tlb: a trace through two exact-LRU levels of TLB.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef uint32_t u32;
typedef uint64_t u64;

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static u32 seed;
static u32 next_random(void) {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed;
}

// ---- page tables in one array of words ----
#define WORDS (1u << 27)  // 512 MiB
#define DATA 8192u        // the first data frame
#define ADDRESSES 8192u
#define TLB_ENTRIES 1024u
static const u64 BASE = 0x7f1234400000ull;
static u32 *ram;
static u32 next_table;
static u64 address[ADDRESSES];
static struct { u64 vpn; u32 word, spare; } tlb[TLB_ENTRIES];

static u64 *entry(u32 table, u64 va, int shift) {
  return (u64 *)(ram + ((u64)table << 10)) + ((va >> shift) & 511);
}

static void map(u64 va, u32 pfn) {
  u32 table = 1;
  for (int shift = 39; shift > 12; shift -= 9) {
    u64 *e = entry(table, va, shift);
    if (!(*e & 1)) {
      memset(ram + ((u64)next_table << 10), 0, 4096);
      *e = ((u64)next_table++ << 12) | 7;
    }
    table = (u32)(*e >> 12);
  }
  *entry(table, va, 12) = ((u64)pfn << 12) | 0x67 | 1ull << 63;
}

// The frame of a user access, or -1; sets A, and D on a write.
static inline int64_t walk(u64 va, int write) {
  u32 table = 1;
  u64 rights = ~0ull, e = 0, *at = 0;
  for (int shift = 39; shift >= 12; shift -= 9) {
    at = entry(table, va, shift);
    e = *at;
    if (!(e & 1) || (shift > 12 && (e & 0x80))) return -1;
    if (shift > 12 && !(e & 0x20)) *at = e | 0x20;
    rights &= e;
    table = (u32)((e & 0xffffffffff000ull) >> 12);
  }
  if (!(rights & 4) || (write && !(rights & 2))) return -1;
  u64 need = write ? 0x60 : 0x20;
  if ((e & need) != need) *at = e | need;
  return table;
}

static void make_space(u32 pages) {
  if (!ram) {
    ram = mmap(0, (size_t)WORDS * 4, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram == MAP_FAILED) exit(1);
  }
  seed = 99;
  next_table = 2;
  memset(ram + 1024, 0, 4096);
  memset(tlb, 0xff, sizeof tlb);
  for (u32 p = 0; p < pages; p++) {
    u32 pfn = DATA + ((p * 40503u + 17u) & (pages - 1));
    u64 va = BASE + (u64)p * 4096, vpn = va >> 12;
    map(va, pfn);
    if (p < TLB_ENTRIES) {
      tlb[vpn & (TLB_ENTRIES - 1)].vpn = vpn;
      tlb[vpn & (TLB_ENTRIES - 1)].word = pfn << 10;
    }
  }
  for (u32 i = 0; i < ADDRESSES; i++) {
    u32 p = next_random() % pages;
    address[i] = BASE + (u64)p * 4096 + (next_random() % 1024) * 4;
  }
}

static u32 tlb_hits(void) {
  u32 sum = 0;
  for (u32 i = 0; i < ADDRESSES; i++) {
    u64 va = address[i], vpn = va >> 12, k = vpn & (TLB_ENTRIES - 1);
    if (tlb[k].vpn != vpn) abort();
    sum += ram[tlb[k].word + ((va & 4095) >> 2)];
  }
  return sum;
}

static u32 tlb_misses(void) {
  u32 sum = 0;
  for (u32 i = 0; i < ADDRESSES; i++) {
    u64 va = address[i], vpn = va >> 12, k = vpn & (TLB_ENTRIES - 1);
    int64_t pfn = walk(va, 0);
    if (pfn < 0) abort();
    tlb[k].vpn = vpn;
    tlb[k].word = (u32)pfn << 10;
    tlb[k].spare = 0;
    sum += ram[tlb[k].word + ((va & 4095) >> 2)];
  }
  return sum;
}

// ---- buddy allocator over 1 GiB ----
#define FRAMES (1u << 18)
#define ORDERS 11
static int32_t link_next[FRAMES + ORDERS], link_prev[FRAMES + ORDERS];
static uint8_t free_order[FRAMES];  // order + 1 of a free block's first frame
static u32 held[65536];

static void put(u32 pfn, u32 order) {
  int32_t head = (int32_t)(FRAMES + order), first = link_next[head];
  link_next[pfn] = first;
  link_prev[pfn] = head;
  link_prev[first] = (int32_t)pfn;
  link_next[head] = (int32_t)pfn;
  free_order[pfn] = (uint8_t)(order + 1);
}

static void take(u32 pfn) {
  int32_t n = link_next[pfn], p = link_prev[pfn];
  link_next[p] = n;
  link_prev[n] = p;
  free_order[pfn] = 0;
}

static u32 buddy_alloc(void) {
  for (u32 order = 0; order < ORDERS; order++) {
    int32_t pfn = link_next[FRAMES + order];
    if (pfn >= (int32_t)FRAMES) continue;
    take((u32)pfn);
    while (order > 0) {
      order--;
      put((u32)pfn + (1u << order), order);
    }
    return (u32)pfn;
  }
  abort();
}

static void buddy_free(u32 pfn) {
  u32 order = 0;
  for (; order < ORDERS - 1; order++) {
    u32 other = pfn ^ (1u << order);
    if (free_order[other] != order + 1) break;
    take(other);
    pfn &= other;
  }
  put(pfn, order);
}

static void make_buddy(void) {
  memset(free_order, 0, sizeof free_order);
  for (u32 o = 0; o < ORDERS; o++) {
    link_next[FRAMES + o] = link_prev[FRAMES + o] = (int32_t)(FRAMES + o);
  }
  for (u32 pfn = 0; pfn < FRAMES; pfn += 1024) put(pfn, ORDERS - 1);
  seed = 99;
}

static u32 buddy_cascade(void) {
  u32 sum = 0;
  for (u32 i = 0; i < 4096; i++) {
    u32 pfn = buddy_alloc();
    sum += pfn;
    buddy_free(pfn);
  }
  return sum;
}

static u32 buddy_batch(void) {
  u32 sum = 0;
  for (u32 i = 0; i < 4096; i++) sum += held[i] = buddy_alloc();
  for (u32 i = 0; i < 4096; i++) buddy_free(held[(i * 1597u + 13u) & 4095]);
  return sum;
}

static u32 buddy_churn(void) {
  u32 sum = 0;
  for (u32 i = 0; i < 4096; i++) {
    u32 j = next_random() & 65535, old = held[j];
    held[j] = buddy_alloc();
    sum += held[j];
    buddy_free(old);
  }
  return sum;
}

// ---- a trace through two levels of TLB ----
#define REFS 1000000
#define TRACE_PAGES 65536
static u64 *trace;
static u64 level1[16 * 4], level2[128 * 12];
static u32 next_frame;

static void make_trace(void) {
  static double below[TRACE_PAGES];
  double sum = 0;
  make_space(16);
  next_frame = DATA + 16;
  trace = malloc(sizeof(u64) * REFS);
  for (int i = 0; i < TRACE_PAGES; i++) below[i] = sum += 1.0 / (i + 1);
  seed = 4711;
  for (int i = 0; i < REFS; i += 8) {
    double u = next_random() / 4294967296.0 * sum;
    int low = 0, high = TRACE_PAGES - 1;
    while (low < high) {
      int mid = (low + high) / 2;
      if (below[mid] < u) low = mid + 1;
      else high = mid;
    }
    u64 page = ((u32)low * 40503u) & (TRACE_PAGES - 1);
    u64 offset = next_random() & 4032;
    for (u64 k = 0; k < 8; k++) {
      u64 va = BASE + (1ull << 28) + page * 4096 + ((offset + k * 8) & 4095);
      trace[i + (int)k] = va | ((k & 3) == 3 ? 1ull << 63 : 0);
    }
  }
}

static inline int find(u64 *set, int ways, u64 vpn) {
  if (set[0] == vpn) return 1;
  for (int i = 1; i < ways; i++) {
    if (set[i] != vpn) continue;
    for (; i > 0; i--) set[i] = set[i - 1];
    set[0] = vpn;
    return 1;
  }
  return 0;
}

static inline void enter(u64 *set, int ways, u64 vpn) {
  for (int i = ways - 1; i > 0; i--) set[i] = set[i - 1];
  set[0] = vpn;
}

static u32 replay(void) {
  u32 hits = 0;
  memset(level1, 0xff, sizeof level1);
  memset(level2, 0xff, sizeof level2);
  for (int i = 0; i < REFS; i++) {
    u64 vpn = (trace[i] & ~(1ull << 63)) >> 12;
    u64 *a = level1 + (vpn & 15) * 4, *b = level2 + (vpn & 127) * 12;
    if (find(a, 4, vpn)) {
      hits++;
      continue;
    }
    if (!find(b, 12, vpn)) {
      int write = (int)(trace[i] >> 63);
      if (walk(vpn << 12, write) < 0) {
        map(vpn << 12, next_frame++);
        walk(vpn << 12, write);
      }
      enter(b, 12, vpn);
    }
    enter(a, 4, vpn);
  }
  return hits;
}

// ---- slices ----
static void prepare_hits(void) { make_space(1024); }
static void prepare_misses(void) { make_space(65536); }
static void prepare_churn(void) {
  make_buddy();
  for (u32 i = 0; i < 65536; i++) held[i] = buddy_alloc();
}

static const struct {
  const char *name;
  double ops;
  void (*prepare)(void);
  u32 (*run)(void);
} yardsticks[] = {
    {"tlb.hit", ADDRESSES, prepare_hits, tlb_hits},
    {"tlb.miss", ADDRESSES, prepare_misses, tlb_misses},
    {"buddy.cascade", 4096, make_buddy, buddy_cascade},
    {"buddy.batch", 4096, make_buddy, buddy_batch},
    {"buddy.churn", 4096, prepare_churn, buddy_churn},
    {"replay.tlb", REFS, make_trace, replay},
};

int main(void) {
  char line[100];
  size_t current = ~(size_t)0;
  volatile u32 keep = 0;
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    size_t i = 0, n = sizeof yardsticks / sizeof *yardsticks;
    while (i < n && strcmp(yardsticks[i].name, line)) i++;
    if (i == n) {
      puts("?");
    } else {
      if (i != current) {
        yardsticks[i].prepare();
        for (int k = 0; k < 3; k++) keep += yardsticks[i].run();
        current = i;
      }
      double start = cpu_seconds(), seconds;
      long calls = 0;
      do {
        keep += yardsticks[i].run();
        calls++;
      } while ((seconds = cpu_seconds() - start) < 0.015);
      printf("%.6g\n", yardsticks[i].ops * (double)calls / seconds);
    }
    fflush(stdout);
  }
  return 0;
}
