// Runs a script of userfaultfd calls and accesses on this host's Linux (as root), and prints each
// line with what came of it: the files *.txt beside this one. An access runs in a thread of its own;
// it is "blocked" where a message came instead of an end, and "wait" waits for that end.
//
//     cc -O1 -pthread -o record record.c && ./record < basic.script > basic.txt
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int uffd, done_pipe[2];
static struct { char op[32]; unsigned long a, b; } job;

static const char *name(int e) {
  switch (e) {
    case 0: return "ok"; case EINVAL: return "EINVAL"; case EEXIST: return "EEXIST";
    case ENOENT: return "ENOENT"; case EFAULT: return "EFAULT"; case EAGAIN: return "EAGAIN";
    case EBUSY: return "EBUSY"; case EPERM: return "EPERM"; case ENOMEM: return "ENOMEM";
  }
  return strerror(e);
}

static void *work(void *unused) {
  long r = 0;
  (void)unused;
  if (!strcmp(job.op, "load")) r = *(volatile unsigned char *)job.a;
  else if (!strcmp(job.op, "store")) *(volatile unsigned char *)job.a = job.b;
  else if (!strcmp(job.op, "dontneed")) r = madvise((void *)job.a, job.b, MADV_DONTNEED);
  else if (!strcmp(job.op, "munmap")) r = munmap((void *)job.a, job.b);
  if (write(done_pipe[1], &r, sizeof r) < 0) abort();
  return 0;
}

// Prints what comes first: the end of the job, or a message.
static void first(void) {
  struct pollfd p[2] = {{done_pipe[0], POLLIN, 0}, {uffd, POLLIN, 0}};
  struct uffd_msg m;
  long r;
  for (int i = 0; i < 2; i++) {
    if (poll(p, i == 0 ? 2 : 1, i == 0 ? 1000 : 300) <= 0) { printf("blocked\n"); return; }
    if (p[0].revents & POLLIN) {
      if (read(done_pipe[0], &r, sizeof r) < 0) abort();
      printf("done %ld\n", r);
      return;
    }
    if (!(p[1].revents & POLLIN)) continue;  // not ready yet: an error, and no message
    if (read(uffd, &m, sizeof m) != sizeof m) { printf("read %s\n", name(errno)); return; }
    if (m.event == UFFD_EVENT_PAGEFAULT) {
      printf("fault %llx flags %llx\n", m.arg.pagefault.address, m.arg.pagefault.flags);
      return;
    }
    printf("event %x %llx %llx, ", m.event, m.arg.remove.start, m.arg.remove.end);
    p[1].revents = 0;
  }
}

int main(void) {
  char line[256], op[32];
  pthread_t t;
  setvbuf(stdout, 0, _IONBF, 0);
  if (pipe(done_pipe)) return 1;
  uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  while (fgets(line, sizeof line, stdin)) {
    unsigned long v[4] = {0};
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "%31s %lx %lx %lx %lx", op, v, v + 1, v + 2, v + 3) < 1 || op[0] == '#') continue;
    printf("%s => ", line);
    if (!strcmp(op, "anon")) {
      mmap((void *)v[0], v[1], v[2] ? v[2] : 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
      madvise((void *)v[0], v[1], MADV_NOHUGEPAGE);
      printf("ok\n");
    } else if (!strcmp(op, "shmem")) {
      int fd = memfd_create("shmem", 0);
      if (ftruncate(fd, v[2])) return 1;
      mmap((void *)v[0], v[1], 3, MAP_SHARED | MAP_FIXED, fd, 0);
      mmap((void *)(v[0] + 0x1000000), v[1], 3, MAP_SHARED | MAP_FIXED, fd, 0);
      printf("ok\n");
    } else if (!strcmp(op, "api")) {
      struct uffdio_api a = {.api = v[0], .features = v[1]};
      printf("%s\n", name(ioctl(uffd, UFFDIO_API, &a) ? errno : 0));
    } else if (!strcmp(op, "register")) {
      struct uffdio_register r = {{v[0], v[1]}, v[2], 0};
      printf("%s\n", name(ioctl(uffd, UFFDIO_REGISTER, &r) ? errno : 0));
    } else if (!strcmp(op, "other")) {
      int o = syscall(SYS_userfaultfd, O_CLOEXEC);
      struct uffdio_api a = {.api = UFFD_API};
      struct uffdio_register r = {{v[0], v[1]}, v[2], 0};
      ioctl(o, UFFDIO_API, &a);
      printf("%s\n", name(ioctl(o, UFFDIO_REGISTER, &r) ? errno : 0));
      close(o);
    } else if (!strcmp(op, "unregister")) {
      struct uffdio_range r = {v[0], v[1]};
      printf("%s\n", name(ioctl(uffd, UFFDIO_UNREGISTER, &r) ? errno : 0));
    } else if (!strcmp(op, "wake")) {
      struct uffdio_range r = {v[0], v[1]};
      printf("%s\n", name(ioctl(uffd, UFFDIO_WAKE, &r) ? errno : 0));
    } else if (!strcmp(op, "copy")) {
      struct uffdio_copy c = {v[0], v[1], v[2], v[3], 0};
      int e = ioctl(uffd, UFFDIO_COPY, &c) ? errno : 0;
      printf("%s %lld\n", name(e), (long long)c.copy);
    } else if (!strcmp(op, "zero")) {
      struct uffdio_zeropage z = {{v[0], v[1]}, v[2], 0};
      int e = ioctl(uffd, UFFDIO_ZEROPAGE, &z) ? errno : 0;
      printf("%s %lld\n", name(e), (long long)z.zeropage);
    } else if (!strcmp(op, "continue")) {
      struct uffdio_continue c = {{v[0], v[1]}, v[2], 0};
      int e = ioctl(uffd, UFFDIO_CONTINUE, &c) ? errno : 0;
      printf("%s %lld\n", name(e), (long long)c.mapped);
    } else if (!strcmp(op, "wp")) {
      struct uffdio_writeprotect w = {{v[0], v[1]}, v[2]};
      printf("%s\n", name(ioctl(uffd, UFFDIO_WRITEPROTECT, &w) ? errno : 0));
    } else if (!strcmp(op, "read")) {
      struct uffd_msg m;
      printf("%s\n", name(read(uffd, &m, sizeof m) < 0 ? errno : 0));
    } else if (!strcmp(op, "mprotect")) {
      printf("%s\n", name(mprotect((void *)v[0], v[1], v[2]) ? errno : 0));
    } else if (!strcmp(op, "mremap")) {
      void *p = mremap((void *)v[0], v[1], v[1], MREMAP_MAYMOVE | MREMAP_FIXED, (void *)v[2]);
      printf("%s\n", name(p == MAP_FAILED ? errno : 0));
    } else if (!strcmp(op, "pages")) {
      int f = open("/proc/self/pagemap", O_RDONLY);
      for (unsigned long at = v[0]; at < v[0] + v[1]; at += 4096) {
        uint64_t e = 0;
        if (pread(f, &e, 8, at / 4096 * 8) != 8) return 1;
        putchar(e >> 57 & 1 ? 'w' : e >> 63 & 1 ? 'p' : e >> 62 & 1 ? 's' : '-');
      }
      close(f);
      printf("\n");
    } else if (!strcmp(op, "wait")) {
      first();
    } else {
      strcpy(job.op, op);
      job.a = v[0];
      job.b = v[1];
      pthread_create(&t, 0, work, 0);
      pthread_detach(t);
      first();
    }
  }
}
