// Yardsticks: page replacement policies in plain C on a Zipf-distributed reference string, the same
// string as tools/bench/replace.bench.ts draws. Protocol as in machine.c.
//
// FIFO and CLOCK keep an array of frames; LRU and ARC rings of pages with heads behind the pages.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGES = 1000000, REFS = 4000000, FRAMES = 100000, RINGS = 5 };

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int32_t refs[REFS], queue[FRAMES];
static int32_t next_page[PAGES + RINGS], prev_page[PAGES + RINGS], members[RINGS];
static uint8_t state[PAGES];

static void make_refs(void) {
  double *sums = malloc(sizeof(double) * PAGES), sum = 0;
  uint32_t x = 42;
  for (int i = 0; i < PAGES; i++) sums[i] = sum += 1.0 / (i + 1);
  for (int i = 0; i < REFS; i++) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    double u = x / 4294967296.0 * sum;
    int low = 0, high = PAGES - 1;
    while (low < high) {
      int middle = (low + high) / 2;
      if (sums[middle] < u) low = middle + 1;
      else high = middle;
    }
    refs[i] = (int32_t)((int64_t)low * 700001 % PAGES);
  }
  free(sums);
}

static void reset(void) {
  memset(state, 0, sizeof state);
  memset(members, 0, sizeof members);
  for (int k = 0; k < RINGS; k++) next_page[PAGES + k] = prev_page[PAGES + k] = PAGES + k;
}
static void unlink_page(int32_t p) {
  next_page[prev_page[p]] = next_page[p];
  prev_page[next_page[p]] = prev_page[p];
}
static void link_page(int ring, int32_t p) {
  int32_t head = PAGES + ring, first = next_page[head];
  next_page[p] = first;
  prev_page[p] = head;
  prev_page[first] = p;
  next_page[head] = p;
}

static uint32_t fifo(void) {
  uint32_t faults = 0;
  int used = 0, at = 0;
  reset();
  for (int i = 0; i < REFS; i++) {
    int32_t p = refs[i];
    if (state[p]) continue;
    faults++;
    if (used < FRAMES) used++;
    else state[queue[at]] = 0;
    queue[at] = p;
    state[p] = 1;
    if (++at == FRAMES) at = 0;
  }
  return faults;
}

static uint32_t clock_hand(void) {
  uint32_t faults = 0;
  int used = 0, at = 0;
  reset();
  for (int i = 0; i < REFS; i++) {
    int32_t p = refs[i];
    if (state[p]) {
      state[p] = 2;
      continue;
    }
    faults++;
    if (used < FRAMES) used++;
    else {
      while (state[queue[at]] == 2) {
        state[queue[at]] = 1;
        if (++at == FRAMES) at = 0;
      }
      state[queue[at]] = 0;
    }
    queue[at] = p;
    state[p] = 2;
    if (++at == FRAMES) at = 0;
  }
  return faults;
}

static uint32_t lru(void) {
  uint32_t faults = 0;
  int used = 0;
  reset();
  for (int i = 0; i < REFS; i++) {
    int32_t p = refs[i];
    if (state[p]) {
      unlink_page(p);
    } else {
      faults++;
      if (used < FRAMES) used++;
      else {
        int32_t victim = prev_page[PAGES];
        unlink_page(victim);
        state[victim] = 0;
      }
      state[p] = 1;
    }
    link_page(0, p);
  }
  return faults;
}

// ARC: rings 1 and 2 hold pages in memory, 3 and 4 their ghosts.
static void move(int32_t p, int ring) {
  if (state[p]) {
    unlink_page(p);
    members[state[p]]--;
  }
  state[p] = (uint8_t)ring;
  members[ring]++;
  link_page(ring, p);
}
static void drop(int ring) {
  int32_t p = prev_page[PAGES + ring];
  unlink_page(p);
  members[ring]--;
  state[p] = 0;
}
static void replace(double target, int ghost2) {
  int t1 = members[1];
  if (t1 > 0 && (t1 > target || (ghost2 && t1 == (int)target))) move(prev_page[PAGES + 1], 3);
  else move(prev_page[PAGES + 2], 4);
}
static uint32_t arc(void) {
  uint32_t faults = 0;
  double target = 0;
  reset();
  for (int i = 0; i < REFS; i++) {
    int32_t p = refs[i];
    int ring = state[p];
    if (ring == 1 || ring == 2) {
      move(p, 2);
      continue;
    }
    faults++;
    if (ring == 3) {
      double step = (double)members[4] / members[3];
      target += step > 1 ? step : 1;
      if (target > FRAMES) target = FRAMES;
      replace(target, 0);
      move(p, 2);
    } else if (ring == 4) {
      double step = (double)members[3] / members[4];
      target -= step > 1 ? step : 1;
      if (target < 0) target = 0;
      replace(target, 1);
      move(p, 2);
    } else {
      int all = members[1] + members[2] + members[3] + members[4];
      if (members[1] + members[3] == FRAMES) {
        if (members[1] < FRAMES) {
          drop(3);
          replace(target, 0);
        } else drop(1);
      } else if (all >= FRAMES) {
        if (all == 2 * FRAMES) drop(4);
        replace(target, 0);
      }
      move(p, 1);
    }
  }
  return faults;
}

static const struct {
  const char *name;
  uint32_t (*run)(void);
} yardsticks[] = {{"fifo", fifo}, {"lru", lru}, {"clock", clock_hand}, {"arc", arc}};

int main(void) {
  char line[100];
  volatile uint32_t keep = 0;
  make_refs();
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    size_t i = 0, n = sizeof yardsticks / sizeof *yardsticks;
    while (i < n && strcmp(yardsticks[i].name, line)) i++;
    if (i == n) {
      puts("?");
    } else {
      double start = cpu_seconds(), seconds;
      long calls = 0;
      do {
        keep += yardsticks[i].run();
        calls++;
      } while ((seconds = cpu_seconds() - start) < 0.015);
      printf("%.6g\n", REFS * (double)calls / seconds);
    }
    fflush(stdout);
  }
  return 0;
}
