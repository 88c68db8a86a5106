#include "dat_hash.h"

#if defined(__x86_64__)

#include <string.h>

enum { chunk_bytes = 128, head_bytes = 9, parent_bytes = head_bytes + 64 };
enum { leaf_type = 0, parent_type = 1 };

static const uint64_t initial[8] = {
  0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
  0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/// A hash of 32 bytes, no key, no tree.
static const uint64_t parameters = 0x01010020;

/// Writes the start of a message: its type, and a size as 8 bytes big-endian.
static inline void write_head(uint8_t *buffer, uint8_t type, uint64_t size) {
  uint64_t swapped = __builtin_bswap64(size);
  buffer[0] = type;
  memcpy(buffer + 1, &swapped, 8);
}

static inline size_t chunk_count(const dat_hash_block *block) {
  return (head_bytes + block->size + chunk_bytes - 1) / chunk_bytes;
}

/// The 128 bytes of one chunk of a leaf's message: in place, or in `buffer` if the head or padding belongs to them.
static inline const uint8_t *chunk_of(const dat_hash_block *block, size_t number, uint8_t *buffer) {
  size_t offset = number * chunk_bytes;
  size_t size = head_bytes + block->size;
  if (offset >= size) return buffer;
  size_t here = size - offset < chunk_bytes ? size - offset : chunk_bytes;
  if (number > 0 && here == chunk_bytes) return block->bytes + (offset - head_bytes);
  if (number > 0) {
    memcpy(buffer, block->bytes + (offset - head_bytes), here);
  } else {
    write_head(buffer, leaf_type, block->size);
    if (here > head_bytes) memcpy(buffer + head_bytes, block->bytes, here - head_bytes);
  }
  memset(buffer + here, 0, chunk_bytes - here);
  return buffer;
}

#define LANES 4
#define TARGET __attribute__((target("avx2")))
#define NAME(name) four_##name
#include "lanes.h"
#undef LANES
#undef TARGET
#undef NAME

#define LANES 8
#define TARGET __attribute__((target("avx512f")))
#define NAME(name) eight_##name
#include "lanes.h"
#undef LANES
#undef TARGET
#undef NAME

size_t dat_hash_lanes(void) {
  if (__builtin_cpu_supports("avx512f")) return 8;
  return __builtin_cpu_supports("avx2") ? 4 : 0;
}

void dat_hash_leaves(const dat_hash_block *blocks, size_t count, size_t lanes) {
  if (lanes == 8) {
    eight_leaves(blocks, count);
  } else {
    four_leaves(blocks, count);
  }
}

void dat_hash_parents(
  const dat_hash_node *children, size_t count, dat_hash_node *parents, size_t lanes) {
  if (lanes == 8) {
    eight_parents(children, count, parents);
  } else {
    four_parents(children, count, parents);
  }
}

#else

size_t dat_hash_lanes(void) { return 0; }

void dat_hash_leaves(const dat_hash_block *blocks, size_t count, size_t lanes) {
  (void)blocks;
  (void)count;
  (void)lanes;
}

void dat_hash_parents(
  const dat_hash_node *children, size_t count, dat_hash_node *parents, size_t lanes) {
  (void)children;
  (void)count;
  (void)parents;
  (void)lanes;
}

#endif
