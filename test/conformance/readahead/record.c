// Prints what each fault of a shared mapping of an uncached file did on the running kernel: minor or
// major, pages mapped, pages cached. usage: readahead SEED PAGES STEPS PATTERN (0 random, 1
// sequential, 2 forward, 3 mixed with writes), as root, in a folder on ext4, read_ahead_kb 128.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
static int pm;
static uint64_t pmv(void*a){uint64_t v=0;pread(pm,&v,8,((uintptr_t)a>>12)*8);return v;}
int main(int c,char**v){ // ra SEED N pages pattern
 srand(atoi(v[1])); int n=atoi(v[2]); int steps=atoi(v[3]); int pat=atoi(v[4]);
 pm=open("/proc/self/pagemap",O_RDONLY);
 const char*path="ra.tmp"; int fd=open(path,O_RDWR|O_CREAT|O_TRUNC,0600);
 char*buf=malloc(4096);memset(buf,1,4096);
 for(int i=0;i<n;i++)pwrite(fd,buf,4096,i*4096l);fsync(fd);posix_fadvise(fd,0,0,POSIX_FADV_DONTNEED);
 close(fd); fd=open(path,O_RDWR);
 char*r=mmap(0,(8<<20)+(long)n*4096,PROT_NONE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);
 char*base=(char*)(((uintptr_t)r+0x1fffff)&~0x1ffffful);
 char*q=mmap(base,(long)n*4096,PROT_READ|PROT_WRITE,MAP_SHARED|MAP_FIXED,fd,0);
 char*vec=malloc(n);int at=0;
 for(int s=0;s<steps;s++){int p,w=0;
  if(pat==0)p=rand()%n; else if(pat==1){p=s%n;} else if(pat==2){at+=rand()%7;p=at%n;} else {p=(s&1)?rand()%n:(at=at+1+rand()%20)%n; w=rand()%4==0;}
  struct rusage a,b;getrusage(RUSAGE_SELF,&a);
  if(w)((volatile char*)q)[p*4096l]=2;else{volatile char x=q[p*4096l];(void)x;}
  getrusage(RUSAGE_SELF,&b);
  long maj=b.ru_majflt-a.ru_majflt,min=b.ru_minflt-a.ru_minflt;
  if(!maj&&!min)continue;
  printf("%d %c maj %ld min %ld map",p,w?'w':'r',maj,min);
  for(int i=0;i<n;i++){int on=pmv(q+i*4096l)>>63;int prev=i?pmv(q+i*4096l-4096)>>63:0;int nx=i<n-1?pmv(q+i*4096l+4096)>>63:0; if(on&&!prev)printf(" %d",i);if(on&&!nx)printf("-%d",i);}
  mincore(q,n*4096l,(void*)vec);printf(" cache");
  for(int i=0;i<n;i++){int on=vec[i]&1;if(on&&!(i&&vec[i-1]&1))printf(" %d",i);if(on&&!(i<n-1&&vec[i+1]&1))printf("-%d",i);}
  printf("\n");
 }
 unlink(path);
}
