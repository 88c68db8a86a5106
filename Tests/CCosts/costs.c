// Stands in front of the C library in the program that it is linked into: each call is counted and passed on.
// For glibc alone, whose allocator has a second name for each of its functions.
#define _GNU_SOURCE
#include "costs.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define COUNTS 1
#else
#define COUNTS 0
#endif

static atomic_bool counting;
static _Atomic uint64_t allocations, allocated, copied;
static _Atomic uint64_t reads, writes, syncs, others, received, sent, waits;

static inline void add(_Atomic uint64_t *counter, uint64_t amount) {
  if (atomic_load_explicit(&counting, memory_order_relaxed))
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static _Atomic uint64_t *const all[] = {
  &allocations, &allocated, &copied, &reads, &writes, &syncs, &others, &received, &sent, &waits,
};

void dat_costs_start(void) {
  for (size_t index = 0; index < sizeof all / sizeof *all; index++) atomic_store(all[index], 0);
  atomic_store(&counting, 1);
}

dat_costs dat_costs_stop(void) {
  atomic_store(&counting, 0);
  return (dat_costs){
    allocations, allocated, copied, reads, writes, syncs, others, received, sent, waits,
  };
}

int dat_costs_work(void) { return COUNTS; }

#if COUNTS

// MARK: Memory

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static inline void allocate(size_t size) {
  add(&allocations, 1);
  add(&allocated, size);
}

void *malloc(size_t size) {
  allocate(size);
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  allocate(count * size);
  return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
  allocate(size);
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  allocate(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  void *memory = memalign(alignment, size);
  if (!memory) return 12;  // ENOMEM
  *result = memory;
  return 0;
}

void *__mempcpy(void *to, const void *from, size_t count);
void *__memmove_chk(void *to, const void *from, size_t count, size_t room);

// Without built-ins: the compiler would turn these bodies into calls of themselves.
__attribute__((no_builtin)) void *memcpy(void *to, const void *from, size_t count) {
  add(&copied, count);
  __mempcpy(to, from, count);
  return to;
}

__attribute__((no_builtin)) void *memmove(void *to, const void *from, size_t count) {
  add(&copied, count);
  return __memmove_chk(to, from, count, (size_t)-1);
}

// MARK: System calls

// A function of this name and type that counts, and calls the next one of that name.
#define PASS(counter, result, name, parameters, arguments)               \
  result name parameters {                                               \
    static result(*_Atomic next) parameters;                             \
    if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name);     \
    add(&counter, 1);                                                    \
    return next arguments;                                               \
  }

PASS(reads, ssize_t, pread, (int f, void *b, size_t n, off_t o), (f, b, n, o))
PASS(reads, ssize_t, pread64, (int f, void *b, size_t n, off64_t o), (f, b, n, o))
PASS(reads, ssize_t, preadv, (int f, const struct iovec *v, int n, off_t o), (f, v, n, o))
PASS(writes, ssize_t, pwrite, (int f, const void *b, size_t n, off_t o), (f, b, n, o))
PASS(writes, ssize_t, pwrite64, (int f, const void *b, size_t n, off64_t o), (f, b, n, o))
PASS(writes, ssize_t, pwritev, (int f, const struct iovec *v, int n, off_t o), (f, v, n, o))
PASS(syncs, int, fsync, (int f), (f))
PASS(syncs, int, fdatasync, (int f), (f))
PASS(others, int, close, (int f), (f))
PASS(others, int, ftruncate, (int f, off_t n), (f, n))
PASS(others, int, ftruncate64, (int f, off64_t n), (f, n))
PASS(others, off_t, lseek, (int f, off_t o, int w), (f, o, w))
PASS(others, off64_t, lseek64, (int f, off64_t o, int w), (f, o, w))
PASS(others, int, fstat, (int f, struct stat *s), (f, s))
PASS(received, ssize_t, read, (int f, void *b, size_t n), (f, b, n))
PASS(received, ssize_t, readv, (int f, const struct iovec *v, int n), (f, v, n))
PASS(received, ssize_t, recv, (int f, void *b, size_t n, int o), (f, b, n, o))
PASS(received, ssize_t, recvmsg, (int f, struct msghdr *m, int o), (f, m, o))
PASS(sent, ssize_t, write, (int f, const void *b, size_t n), (f, b, n))
PASS(sent, ssize_t, writev, (int f, const struct iovec *v, int n), (f, v, n))
PASS(sent, ssize_t, send, (int f, const void *b, size_t n, int o), (f, b, n, o))
PASS(sent, ssize_t, sendmsg, (int f, const struct msghdr *m, int o), (f, m, o))
PASS(waits, int, epoll_wait, (int f, struct epoll_event *e, int n, int t), (f, e, n, t))

static mode_t mode_of(int flags, va_list rest) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

int openat(int folder, const char *path, int flags, ...) {
  static int (*_Atomic next)(int, const char *, int, ...);
  if (!next) next = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  add(&others, 1);
  return next(folder, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return openat(AT_FDCWD, path, flags, mode);
}

#endif
