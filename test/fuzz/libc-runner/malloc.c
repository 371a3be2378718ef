// Runs malloc, calloc, realloc and free as standard input says, on this machine's C library, and
// prints where each block lies: bytes after the heap's start, or the usable size of a mapping; and
// how far the heap reaches. Lines: OP NAME BYTES.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *blocks[1 << 16];
static char in[1 << 16], out[1 << 16];

int main(void) {
  setvbuf(stdin, in, _IOFBF, sizeof in);
  setvbuf(stdout, out, _IOFBF, sizeof out);
  char *base = sbrk(0), op;
  long name, bytes;
  while (scanf(" %c %ld %ld", &op, &name, &bytes) == 3) {
    void **p = &blocks[name];
    if (op == 'm') *p = malloc(bytes);
    if (op == 'c') *p = calloc(1, bytes);
    if (op == 'r') *p = realloc(*p, bytes);
    if (op == 'f') free(*p);
    long heap = (char *)sbrk(0) - base, at = (char *)*p - base;
    if (op == 'f') printf("freed %ld\n", heap);
    else if (at >= 0 && at < 1L << 36) printf("%ld %ld\n", at, heap);
    else printf("mapped %zu %ld\n", malloc_usable_size(*p), heap);
  }
  return 0;
}
