#include <stdlib.h>
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
