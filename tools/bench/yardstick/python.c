// The real CPython as a yardstick, embedded: reads the name of a slice, prints operations per
// second of CPU time. The same work as tools/bench/python.bench.ts.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LIVE 8192
#define NODES 1000000

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t seed = 42;
static uint32_t next_random(void) {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed;
}

static double pairs(void) {
  long n = 0;
  double start = cpu_seconds(), seconds;
  do {
    for (int i = 0; i < 100000; i++) {
      void *volatile p = PyObject_Malloc(64);
      PyObject_Free(p);
    }
    n += 100000;
  } while ((seconds = cpu_seconds() - start) < 0.015);
  return (double)n / seconds;
}

static double churn(void) {
  static void *slot[LIVE];
  for (int i = 0; i < LIVE; i++)
    if (slot[i] == NULL) slot[i] = PyObject_Malloc(16 + (next_random() & 31) * 16);
  long n = 0;
  double start = cpu_seconds(), seconds;
  do {
    for (int i = 0; i < 65536; i++) {
      uint32_t x = next_random(), j = x & (LIVE - 1);
      PyObject_Free(slot[j]);
      slot[j] = PyObject_Malloc((((x >> 13) & 31) + 1) * 16);
      *(volatile char *)slot[j] = 1;
    }
    n += 65536;
  } while ((seconds = cpu_seconds() - start) < 0.015);
  return (double)n / seconds;
}

// Lists of two: node i refers to i + 1 and to a random one, so all hang together.
static PyObject *graph(void) {
  PyObject **nodes = malloc(NODES * sizeof *nodes);
  for (int i = 0; i < NODES; i++) nodes[i] = PyList_New(2);
  for (int i = 0; i < NODES; i++) {
    PyObject *next = nodes[(i + 1) % NODES], *other = nodes[next_random() % NODES];
    Py_INCREF(next);
    Py_INCREF(other);
    PyList_SET_ITEM(nodes[i], 0, next);
    PyList_SET_ITEM(nodes[i], 1, other);
  }
  PyObject *root = nodes[0];
  for (int i = 1; i < NODES; i++) Py_DECREF(nodes[i]);
  free(nodes);
  return root;
}

static PyObject *root;
static double collection(int is_garbage) {
  if (root == NULL) root = graph();
  if (is_garbage) Py_CLEAR(root);
  double start = cpu_seconds();
  PyGC_Collect();
  return NODES / (cpu_seconds() - start);
}

int main(void) {
  char line[100];
  Py_Initialize();
  PyRun_SimpleString("import gc\ngc.collect()\ngc.freeze()\ngc.set_threshold(1000000000)");
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    double rate = 0;
    if (!strcmp(line, "pymalloc.pair")) rate = pairs();
    else if (!strcmp(line, "pymalloc.churn")) rate = churn();
    else if (!strcmp(line, "gc.live")) rate = collection(0);
    else if (!strcmp(line, "gc.garbage")) rate = collection(1);
    if (rate > 0) printf("%.6g\n", rate);
    else puts("?");
    fflush(stdout);
  }
  return 0;
}
