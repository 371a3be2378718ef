// `pagewalk calibrate`: what faults, system calls and TLB misses cost on this host.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../../kernel/errors.ts';
import { COSTS, type CostName, defaultCosts } from '../cost.ts';

interface Options {
  readonly json: boolean;
  readonly save?: string;
}

export function register(program: Command): void {
  program
    .command('calibrate')
    .description('measures what faults, calls and TLB misses cost on this host (Linux with gcc)')
    .option('--json', 'one JSON object on standard output', false)
    .option('--save <file>', 'also writes them, for compare --costs')
    .action((options: Options) => {
      const costs = measure();
      if (options.save !== undefined) writeFileSync(options.save, `${JSON.stringify(costs)}\n`);
      process.stdout.write(options.json ? `${JSON.stringify(costs)}\n` : text(costs));
    });
}

function text(costs: Record<CostName, number>): string {
  const lines = Object.entries(COSTS).map(([name, { what }]) => {
    const ns = costs[name as CostName];
    const by = ns === defaultCosts[name as CostName] ? 'as given' : 'measured';
    return `${name.padEnd(16)}${ns.toFixed(1).padStart(10)} ns  ${by.padEnd(9)} ${what}`;
  });
  return `${lines.join('\n')}\n`;
}

/** Compiles and runs a small program of C. @throws InputError where there is no gcc */
function measure(): Record<CostName, number> {
  const folder = mkdtempSync(join(tmpdir(), 'pagewalk-'));
  try {
    const source = join(folder, 'calibrate.c');
    const binary = join(folder, 'calibrate');
    writeFileSync(source, SOURCE);
    try {
      execFileSync('gcc', ['-O1', '-o', binary, source], { stdio: 'pipe' });
    } catch {
      throw new InputError('', 'calibrate needs gcc and Linux');
    }
    const costs: Record<CostName, number> = { ...defaultCosts };
    const output = execFileSync(binary, [join(folder, 'file')], { encoding: 'utf8' });
    for (const line of output.trim().split('\n')) {
      const [name = '', ns] = line.split(' ');
      if (name in costs) costs[name as CostName] = Number(ns);
    }
    return costs;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const SOURCE = String.raw`
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#define PAGES 16384L
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}
static char *map(int flags, int fd, long pages) {
  char *p = mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, fd, 0);
  if (p == MAP_FAILED) exit(1);
  madvise(p, pages * 4096, MADV_NOHUGEPAGE);
  return p;
}
static volatile char sink;
static void best(const char *name, double ns[5], long n) {
  double least = ns[0];
  for (int i = 1; i < 5; i++) if (ns[i] < least) least = ns[i];
  printf("%s %.1f\n", name, least / n);
}
static double chase(long pages, long stride, long steps) {
  char *p = map(MAP_ANONYMOUS, -1, pages);
  long n = pages * 4096 / stride, at = 0;
  long *order = malloc(n * sizeof *order);
  for (long i = 0; i < n; i++) order[i] = i;
  for (long i = n - 1; i > 0; i--) {
    long k = rand() % (i + 1), t = order[i];
    order[i] = order[k];
    order[k] = t;
  }
  long inPage = stride == 4096 ? 64 : 0;
  for (long i = 0; i < n; i++) {
    long a = order[i] * stride + order[i] % 64 * inPage, k = order[(i + 1) % n];
    *(long *)(p + a) = k * stride + k % 64 * inPage;
  }
  at = order[0] * stride + order[0] % 64 * inPage;
  double start = now();
  for (long i = 0; i < steps; i++) at = *(long *)(p + at);
  double took = now() - start;
  sink = at;
  munmap(p, pages * 4096);
  free(order);
  return took / steps;
}
int main(int argc, char **argv) {
  double ns[5];
  for (int r = 0; r < 5; r++) {
    double t = now();
    for (int i = 0; i < 200000; i++) syscall(SYS_getppid);
    ns[r] = now() - t;
  }
  best("system_call", ns, 200000);
  for (int r = 0; r < 5; r++) {
    char *p = map(MAP_ANONYMOUS, -1, PAGES);
    double t = now();
    for (long i = 0; i < PAGES; i++) p[i * 4096] = 1;
    ns[r] = now() - t;
    munmap(p, PAGES * 4096);
  }
  best("fault_zeroed", ns, PAGES);
  for (int r = 0; r < 5; r++) {
    char *p = map(MAP_ANONYMOUS, -1, PAGES);
    double t = now();
    for (long i = 0; i < PAGES; i++) sink = p[i * 4096];
    ns[r] = now() - t;
    munmap(p, PAGES * 4096);
  }
  best("fault_zero_page", ns, PAGES);
  int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
  char page[4096] = {1};
  for (long i = 0; i < 4096; i++) if (write(fd, page, 4096) != 4096) return 1;
  for (int r = 0; r < 5; r++) {
    char *p = map(0, fd, 4096);
    madvise(p, 4096 * 4096, MADV_RANDOM);
    double t = now();
    for (long i = 0; i < 4096; i++) sink = p[i * 4096];
    ns[r] = now() - t;
    munmap(p, 4096 * 4096);
  }
  best("fault_file", ns, 4096);
  char *shared = map(MAP_ANONYMOUS, -1, 4096);
  memset(shared, 1, 4096 * 4096);
  for (int r = 0; r < 5; r++) {
    int ends[2];
    if (pipe(ends)) return 1;
    pid_t child = fork();
    if (child == 0) {
      double t = now();
      for (long i = 0; i < 4096; i++) shared[i * 4096] = 2;
      t = now() - t;
      _exit(write(ends[1], &t, sizeof t) != sizeof t);
    }
    if (read(ends[0], &ns[r], sizeof ns[r]) != sizeof ns[r]) return 1;
    waitpid(child, 0, 0);
    close(ends[0]);
    close(ends[1]);
  }
  best("fault_copied", ns, 4096);
  static char from[4096], to[4096];
  for (int r = 0; r < 5; r++) {
    double t = now();
    for (int i = 0; i < 100000; i++) {
      memcpy(to, from, 4096);
      __asm__ volatile("" ::"r"(to), "r"(from) : "memory");
    }
    ns[r] = now() - t;
  }
  best("copy_page", ns, 100000);
  double near = chase(16, 64, 4000000);
  double far = chase(4096, 4096, 4000000);
  printf("tlb_miss %.1f\n", far > near ? far - near : 0);
  printf("walk_memory %.1f\n", chase(65536, 64, 2000000));
  return 0;
}
`;
