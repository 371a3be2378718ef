// Yardsticks: the real kernel of this host, measured from user space.
//
//   kernel             as machine.c: names in, operations per second of one slice out
//
// fault.zero: the first write to each page of a new private mapping; fault.populate: the same by
// MADV_POPULATE_WRITE, without the exceptions; fault.cow: a child writes what it shares with its
// parent; fork: fork, exit and wait with 64 MiB mapped (wall time: two processes); mmap: a pair of
// mmap and munmap of 64 KiB; mmap.40k: the same with 40,000 mappings in the process.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define BYTES (64ul << 20)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static double cpu(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }
static double wall(void) { return seconds_of(CLOCK_MONOTONIC); }

static char *map_private(size_t bytes) {
  char *p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) exit(1);
  madvise(p, bytes, MADV_NOHUGEPAGE);
  return p;
}

static void write_all(char *p) {
  for (size_t i = 0; i < BYTES; i += PAGE) *(volatile char *)(p + i) = 1;
}

static double fault_zero(void) {
  char *p = map_private(BYTES);
  double t = cpu();
  write_all(p);
  t = cpu() - t;
  munmap(p, BYTES);
  return BYTES / PAGE / t;
}

static double fault_populate(void) {
  char *p = map_private(BYTES);
  double t = cpu();
  for (size_t i = 0; i < BYTES; i += 2ul << 20) {
    if (madvise(p + i, 2ul << 20, MADV_POPULATE_WRITE)) exit(1);
  }
  t = cpu() - t;
  munmap(p, BYTES);
  return BYTES / PAGE / t;
}

static double fault_cow(void) {
  double *shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char *p = map_private(BYTES);
  write_all(p);
  pid_t child = fork();
  if (child == 0) {
    double t = cpu();
    write_all(p);
    *shared = cpu() - t;
    _exit(0);
  }
  waitpid(child, 0, 0);
  double rate = BYTES / PAGE / *shared;
  munmap(p, BYTES);
  munmap(shared, PAGE);
  return rate;
}

static double forks(void) {
  static char *p;
  if (!p) write_all(p = map_private(BYTES));
  double t = wall();
  for (int i = 0; i < 20; i++) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, 0, 0);
  }
  return 20 / (wall() - t);
}

static double pairs(void) {
  double t = cpu();
  for (int i = 0; i < 20000; i++) {
    munmap(mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
           16 * PAGE);
  }
  return 20000 / (cpu() - t);
}

static double pairs_40k(void) {
  static char *p;
  if (!p) {
    p = mmap(0, 40000 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (long i = 0; i < 20000; i++) mprotect(p + 2 * i * PAGE, PAGE, PROT_READ | PROT_WRITE);
  }
  return pairs();
}

static const struct {
  const char *name;
  double (*slice)(void);
} yardsticks[] = {
    {"fault.zero", fault_zero}, {"fault.populate", fault_populate}, {"fault.cow", fault_cow},
    {"fork", forks},            {"mmap", pairs},                    {"mmap.40k", pairs_40k},
};

int main(void) {
  char line[100];
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    size_t i = 0, n = sizeof yardsticks / sizeof *yardsticks;
    while (i < n && strcmp(yardsticks[i].name, line)) i++;
    if (i == n) puts("?");
    else printf("%.6g\n", yardsticks[i].slice());
    fflush(stdout);
  }
  return 0;
}
