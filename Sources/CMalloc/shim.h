#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#ifdef __linux__
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

/// Has memory that was taken `bytes` or more at once go back to the system when it is freed.
///
/// glibc does so at first, but raises the size with each large piece that is freed, and what is smaller
/// stays with the thread that took it.
static inline void dat_give_back_pieces_of(int bytes) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, bytes);
#endif
}

/// Exchanges two folders in one step: whatever happens, each path has one of them.
///
/// Returns 0, or -1 with `errno` where the system or the file system can't.
static inline int dat_exchange_folders(const char *one, const char *other) {
#if defined(__linux__) && defined(SYS_renameat2)
  return (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2u);
#elif defined(__APPLE__)
  return renamex_np(one, other, RENAME_SWAP);
#else
  errno = ENOSYS;
  return -1;
#endif
}

/// Renames a file of one folder to a name of another that is free.
///
/// Returns 0, or -1 with `errno`: EEXIST where the name is taken, ENOSYS or EINVAL where the system or the file
/// system can't.
static inline int dat_rename_to_free_name(int from, const char *name, int to, const char *new_name) {
#if defined(__linux__) && defined(SYS_renameat2)
  return (int)syscall(SYS_renameat2, from, name, to, new_name, 1u);
#elif defined(__APPLE__)
  return renameatx_np(from, name, to, new_name, RENAME_EXCL);
#else
  errno = ENOSYS;
  return -1;
#endif
}

/// What a file is.
enum { dat_folder = 1, dat_plain = 2, dat_socket = 3, dat_other = 4 };

static inline int dat_kind_of_mode(unsigned mode) {
  return S_ISDIR(mode) ? dat_folder : S_ISREG(mode) ? dat_plain : S_ISSOCK(mode) ? dat_socket : dat_other;
}

/// What is at a path, links followed; the negative error number if it can't be told. The structure that
/// says so belongs to several of Swift's modules for the C library.
static inline int dat_kind_at(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? dat_kind_of_mode(status.st_mode) : -errno;
}

/// What an open file is, likewise.
static inline int dat_kind_of(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 ? dat_kind_of_mode(status.st_mode) : -errno;
}
