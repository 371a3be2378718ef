/*
 * Runs scenarios on the host's real Linux kernel.
 *
 * The process that a scenario describes must be exactly the one that the format promises: a tiny
 * static program with nothing else in it. So this file is two programs. The *image* is an ELF file
 * that we write ourselves, a page of code and 192 KiB of data, whose code consists of a few loops
 * that end in a breakpoint:
 *
 *     0x400000  r-x  touch: writes every data page     call: syscall     load, store, fill: loops
 *     0x410000  rw-  data: the only memory that system calls are given (names, vectors, contents)
 *     0x440000       the program break
 *
 * The *driver* is this program: it starts the image without address-space randomisation, traces it
 * (ptrace), puts arguments into its registers, lets it run to the breakpoint and reads the result.
 * The traced process needs no stack and no library, and what it is refused arrives here as a stop
 * with the signal's details, after which it simply goes on. Forked children are traced too.
 * Before and after each order the fault counters are read from /proc/PID/stat.
 *
 * Orders arrive on standard input, one a line, numbers in decimal or 0x; each has one line of
 * answer. `p` is the number of a process, in the order of creation from 0.
 *
 *     new IMAGE DIR TASKS              start p 0 in DIR; TASKS: cgroup's file to write to, or -
 *     sys P NR A B C D E F             -> RET MINFLT MAJFLT
 *     acc P load|store N ADDR STEP V   -> SIGNAL CODE ADDR VALUE MINFLT MAJFLT  (SIGNAL 0: none)
 *     fork P                           -> RET PID MINFLT MAJFLT                 (RET: pid or -errno)
 *     exit P STATUS                    -> STATUS 0 0
 *     put P ADDR HEX                   -> ok
 *     get P ADDR LENGTH                -> HEX
 *     fill P ADDR LENGTH BYTE          -> ok
 *     copy P read|write FD LENGTH OFFSET BYTE  -> RET VALUE: the file call in the driver itself
 *     drain                            empties this processor's page batches -> ok
 *     end                              kill all processes -> ok
 *
 * An answer that begins with `dead` says that the process was killed (out of memory).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT 0x400000UL
#define DATA 0x410000UL
#define DATA_END 0x440000UL
#define CODE_OFFSET 0x200 /* of the code in the first page, behind the headers */
#define MAX_PROCS 256

/* The image's code, position independent; copied into the ELF file. */
__asm__(".pushsection .rodata\n"
        "code_begin:\n"
        "code_touch: mov $0x410000, %rdi\n"
        "1: movb $1, (%rdi)\n"
        "   add $4096, %rdi\n"
        "   cmp $0x440000, %rdi\n"
        "   jb 1b\n"
        "   int3\n"
        "code_call: syscall\n"
        "   int3\n"
        "code_load: mov (%rdi), %al\n"
        "   add %rdx, %rdi\n"
        "   dec %rcx\n"
        "   jnz code_load\n"
        "   int3\n"
        "code_store: mov %sil, (%rdi)\n"
        "   add %rdx, %rdi\n"
        "   dec %rcx\n"
        "   jnz code_store\n"
        "   int3\n"
        "code_fill: rep stosb\n"
        "   int3\n"
        "code_end:\n"
        ".popsection\n");
extern const char code_begin[], code_touch[], code_call[], code_load[], code_store[], code_fill[],
    code_end[];

static unsigned long at(const char *label) { return TEXT + CODE_OFFSET + (label - code_begin); }

static struct process {
  pid_t pid;
  int mem, stat;
} procs[MAX_PROCS];
static int nprocs;

static void die(const char *what) {
  printf("error %s: %s\n", what, strerror(errno));
  fflush(stdout);
  exit(1);
}

/* Writes the image: headers and code in the first page, then the data. */
static void write_image(const char *path) {
  static char page[4096], zero[4096];
  Elf64_Ehdr *e = (Elf64_Ehdr *)page;
  Elf64_Phdr *p = (Elf64_Phdr *)(e + 1);
  memcpy(e->e_ident, ELFMAG "\2\1\1", 7);
  e->e_type = ET_EXEC;
  e->e_machine = EM_X86_64;
  e->e_version = 1;
  e->e_entry = at(code_touch);
  e->e_phoff = sizeof *e;
  e->e_ehsize = sizeof *e;
  e->e_phentsize = sizeof *p;
  e->e_phnum = 3;
  p[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, TEXT, TEXT, 0x1000, 0x1000, 0x1000};
  p[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x1000, DATA, DATA, DATA_END - DATA, DATA_END - DATA, 0x1000};
  p[2] = (Elf64_Phdr){PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
  memcpy(page + CODE_OFFSET, code_begin, code_end - code_begin);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
  if (fd < 0 || write(fd, page, 4096) != 4096) die(path);
  for (unsigned long n = DATA; n < DATA_END; n += 4096)
    if (write(fd, zero, 4096) != 4096) die(path);
  close(fd);
}

/* Resident set-up of a process's descriptors in /proc; called once it exists. */
static void adopt(struct process *p, pid_t pid) {
  char path[64];
  p->pid = pid;
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  p->mem = open(path, O_RDWR | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  p->stat = open(path, O_RDONLY | O_CLOEXEC);
  if (p->mem < 0 || p->stat < 0) die(path);
}

static void release(struct process *p) {
  close(p->mem);
  close(p->stat);
  p->pid = 0;
}

/* The process's faults so far, minor and major. */
static void faults(struct process *p, unsigned long *min, unsigned long *maj) {
  char text[1024];
  ssize_t n = pread(p->stat, text, sizeof text - 1, 0);
  unsigned long cmin;
  text[n < 0 ? 0 : n] = 0;
  char *s = strrchr(text, ')');
  if (!s || sscanf(s + 2, "%*c %*d %*d %*d %*d %*d %*u %lu %lu %lu", min, &cmin, maj) != 3)
    *min = *maj = 0;
}

/* Waits until the process stops. Returns the signal that stopped it, -1 where it has ended. */
static int wait_stop(struct process *p, int *status) {
  if (waitpid(p->pid, status, __WALL) < 0) die("waitpid");
  if (WIFSTOPPED(*status)) return WSTOPSIG(*status);
  release(p);
  return -1;
}

/*
 * Lets the process run from `entry` with these registers to the breakpoint or a refused access.
 * Returns the stop's signal (SIGTRAP: done), -1 where the process has ended; `regs` is what it
 * then has. A fork on the way leaves the child's pid in *child.
 */
static int run(struct process *p, unsigned long entry, struct user_regs_struct *regs, pid_t *child) {
  int status, sig;
  regs->rip = entry;
  regs->orig_rax = -1UL;
  if (ptrace(PTRACE_SETREGS, p->pid, 0, regs)) die("PTRACE_SETREGS");
  for (;;) {
    if (ptrace(PTRACE_CONT, p->pid, 0, 0)) die("PTRACE_CONT");
    sig = wait_stop(p, &status);
    if (sig < 0) return -1;
    if (status >> 16 == PTRACE_EVENT_FORK) {
      unsigned long pid = 0;
      ptrace(PTRACE_GETEVENTMSG, p->pid, 0, &pid);
      if (child) *child = (pid_t)pid;
      continue;
    }
    if (sig == SIGTRAP || sig == SIGSEGV || sig == SIGBUS) break;
  }
  if (ptrace(PTRACE_GETREGS, p->pid, 0, regs)) die("PTRACE_GETREGS");
  return sig;
}

static void get_regs(struct process *p, struct user_regs_struct *regs) {
  if (ptrace(PTRACE_GETREGS, p->pid, 0, regs)) die("PTRACE_GETREGS");
}

/* Makes every page of the image resident and the process's own, as at the start. */
static int touch(struct process *p) {
  struct user_regs_struct regs;
  get_regs(p, &regs);
  return run(p, at(code_touch), &regs, NULL);
}

/* Puts the process into a cgroup; its image and its stack stay charged to where it was. */
static void join(const char *tasks, pid_t pid) {
  char text[16];
  int n = snprintf(text, sizeof text, "%d", pid);
  int fd = open(tasks, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, (size_t)n) != n) die(tasks);
  close(fd);
}

static void start(const char *image, const char *dir, const char *tasks) {
  nprocs = 0;
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    char *argv[] = {"p", NULL}, *envp[] = {NULL};
    int fd = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(fd, i);
    for (int i = 3; i < 64; i++) close(i);
    if (chdir(dir)) _exit(121);
    umask(0);
    personality(ADDR_NO_RANDOMIZE);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execve(image, argv, envp);
    _exit(122);
  }
  struct process *p = &procs[nprocs++];
  int status;
  adopt(p, pid);
  if (wait_stop(p, &status) != SIGTRAP) {
    printf("error start: %d\n", WEXITSTATUS(status));
    return;
  }
  close(p->mem); /* opened before execve(): the old address space's */
  close(p->stat);
  adopt(p, pid);
  ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL);
  if (touch(p) != SIGTRAP) die("start");
  if (strcmp(tasks, "-")) join(tasks, pid);
  printf("ok %d\n", pid);
}

static void end_all(void) {
  for (int i = 0; i < nprocs; i++)
    if (procs[i].pid) kill(procs[i].pid, SIGKILL);
  for (int i = 0; i < nprocs; i++) {
    int status;
    while (procs[i].pid) wait_stop(&procs[i], &status);
  }
  nprocs = 0;
  printf("ok\n");
}

/* Reads `n` numbers of any base from the line. */
static void numbers(char **s, unsigned long *v, int n) {
  for (int i = 0; i < n; i++) {
    while (isspace((unsigned char)**s)) ++*s;
    v[i] = **s == '-' ? (unsigned long)strtol(*s, s, 0) : strtoul(*s, s, 0);
  }
}

static void do_sys(struct process *p, char *s) {
  unsigned long v[7], min, maj;
  struct user_regs_struct regs;
  numbers(&s, v, 7);
  get_regs(p, &regs);
  regs.rax = v[0];
  regs.rdi = v[1];
  regs.rsi = v[2];
  regs.rdx = v[3];
  regs.r10 = v[4];
  regs.r8 = v[5];
  regs.r9 = v[6];
  if (run(p, at(code_call), &regs, NULL) < 0) {
    printf("dead\n");
    return;
  }
  faults(p, &min, &maj);
  printf("%ld %lu %lu\n", (long)regs.rax, min, maj);
}

static void do_access(struct process *p, char *s) {
  char kind[8];
  int used = 0;
  unsigned long v[4], min, maj;
  struct user_regs_struct regs;
  siginfo_t info;
  sscanf(s, "%7s%n", kind, &used);
  s += used;
  numbers(&s, v, 4); /* count, address, step, value */
  get_regs(p, &regs);
  regs.rcx = v[0];
  regs.rdi = v[1];
  regs.rdx = v[2];
  regs.rsi = v[3];
  int sig = run(p, strcmp(kind, "load") ? at(code_store) : at(code_load), &regs, NULL);
  if (sig < 0) {
    printf("dead\n");
    return;
  }
  memset(&info, 0, sizeof info);
  if (sig != SIGTRAP) ptrace(PTRACE_GETSIGINFO, p->pid, 0, &info);
  faults(p, &min, &maj);
  printf("%d %d %#lx %u %lu %lu\n", sig == SIGTRAP ? 0 : sig, info.si_code,
         sig == SIGTRAP ? 0 : (unsigned long)info.si_addr, (unsigned)(regs.rax & 255), min, maj);
}

static void do_fork(struct process *p) {
  unsigned long min, maj;
  struct user_regs_struct regs;
  pid_t child = 0;
  int status;
  get_regs(p, &regs);
  regs.rax = SYS_fork;
  if (run(p, at(code_call), &regs, &child) < 0) {
    printf("dead\n");
    return;
  }
  faults(p, &min, &maj);
  if (child) {
    if (nprocs == MAX_PROCS) die("too many processes");
    struct process *c = &procs[nprocs++];
    adopt(c, child);
    wait_stop(c, &status); /* born stopped */
    if (touch(p) != SIGTRAP || touch(c) != SIGTRAP) {
      printf("dead\n");
      return;
    }
  }
  printf("%ld %d %lu %lu\n", (long)regs.rax, child, min, maj);
}

static void do_exit(struct process *p, char *s) {
  unsigned long status;
  int how;
  struct user_regs_struct regs;
  numbers(&s, &status, 1);
  get_regs(p, &regs);
  regs.rax = SYS_exit_group;
  regs.rdi = status;
  regs.rip = at(code_call);
  regs.orig_rax = -1UL;
  ptrace(PTRACE_SETREGS, p->pid, 0, &regs);
  ptrace(PTRACE_CONT, p->pid, 0, 0);
  while (wait_stop(p, &how) >= 0) ptrace(PTRACE_CONT, p->pid, 0, 0);
  printf("%d 0 0\n", WEXITSTATUS(how));
}

static void do_put(struct process *p, char *s) {
  static char bytes[4096];
  unsigned long addr;
  unsigned b;
  size_t n = 0;
  numbers(&s, &addr, 1);
  while (isspace((unsigned char)*s)) s++;
  while (n < sizeof bytes && sscanf(s, "%2x", &b) == 1) {
    bytes[n++] = (char)b;
    s += 2;
  }
  if (pwrite(p->mem, bytes, n, (off_t)addr) != (ssize_t)n) die("put");
  printf("ok\n");
}

static void do_get(struct process *p, char *s) {
  unsigned long v[2];
  numbers(&s, v, 2);
  unsigned char *bytes = malloc(v[1] + 1);
  if (!bytes || pread(p->mem, bytes, v[1], (off_t)v[0]) != (ssize_t)v[1]) die("get");
  for (size_t i = 0; i < v[1]; i++) printf("%02x", bytes[i]);
  printf("\n");
  free(bytes);
}

static void do_fill(struct process *p, char *s) {
  unsigned long v[3];
  struct user_regs_struct regs;
  numbers(&s, v, 3);
  get_regs(p, &regs);
  regs.rdi = v[0];
  regs.rcx = v[1];
  regs.rax = v[2];
  printf(run(p, at(code_fill), &regs, NULL) == SIGTRAP ? "ok\n" : "dead\n");
}

/* A file call longer than the image's data, made here on the same open file. */
static void do_copy(struct process *p, char *s) {
  char kind[8];
  int used = 0;
  unsigned long v[4];
  sscanf(s, "%7s%n", kind, &used);
  s += used;
  numbers(&s, v, 4); /* fd, length, offset, byte */
  int pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
  int fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)v[0], 0);
  long ret = -errno;
  unsigned value = 0;
  close(pidfd);
  if (fd >= 0) {
    unsigned char *bytes = malloc(v[1] + 1);
    if (!bytes) die("copy");
    memset(bytes, (int)v[3], v[1] + 1);
    ret = strcmp(kind, "read") ? pwrite(fd, bytes, v[1], (off_t)v[2]) : pread(fd, bytes, v[1], (off_t)v[2]);
    if (ret < 0) ret = -errno;
    if (ret > 0) value = bytes[ret - 1];
    free(bytes);
    close(fd);
  }
  printf("%ld %u\n", ret, value);
}

/*
 * Pages wait in small per-processor batches before the kernel's lists and flags show them
 * (mm/swap.c); mlock() empties those of the processor that it runs on.
 */
static void drain(void) {
  static char *page;
  if (!page) page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *page = 1;
  mlock(page, 4096);
  munlock(page, 4096);
  printf("ok\n");
}

static void order(char *line) {
  char verb[16], image[512], dir[512], tasks[512];
  int used = 0;
  if (sscanf(line, "%15s%n", verb, &used) != 1) return;
  char *s = line + used;
  if (!strcmp(verb, "new")) {
    if (sscanf(s, "%511s %511s %511s", image, dir, tasks) != 3) die("new");
    start(image, dir, tasks);
  } else if (!strcmp(verb, "image")) {
    if (sscanf(s, "%511s", image) != 1) die("image");
    write_image(image);
    printf("ok\n");
  } else if (!strcmp(verb, "drain"))
    drain();
  else if (!strcmp(verb, "end"))
    end_all();
  else {
    unsigned long n;
    numbers(&s, &n, 1);
    if (n >= (unsigned long)nprocs || !procs[n].pid) {
      printf("dead\n");
      return;
    }
    struct process *p = &procs[n];
    if (!strcmp(verb, "sys")) do_sys(p, s);
    else if (!strcmp(verb, "acc")) do_access(p, s);
    else if (!strcmp(verb, "fork")) do_fork(p);
    else if (!strcmp(verb, "exit")) do_exit(p, s);
    else if (!strcmp(verb, "put")) do_put(p, s);
    else if (!strcmp(verb, "get")) do_get(p, s);
    else if (!strcmp(verb, "fill")) do_fill(p, s);
    else if (!strcmp(verb, "copy")) do_copy(p, s);
    else printf("error order %s\n", verb);
  }
}

int main(void) {
  static char line[16384];
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, &one); /* one processor: its lists see everything */
  while (fgets(line, sizeof line, stdin)) {
    order(line);
    fflush(stdout);
  }
  for (int i = 0; i < nprocs; i++)
    if (procs[i].pid) kill(procs[i].pid, SIGKILL);
  return 0;
}
