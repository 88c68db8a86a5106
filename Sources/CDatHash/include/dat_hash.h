#ifndef DAT_HASH_H
#define DAT_HASH_H

#include <stddef.h>
#include <stdint.h>

/// A block of a feed, and the place of the hash of its leaf, 32 bytes.
typedef struct {
  const uint8_t *bytes;
  size_t size;
  uint8_t *digest;
} dat_hash_block;

/// A node of a feed's tree, laid out like `Node`.
typedef struct {
  uint64_t index;
  uint8_t hash[32];
  uint64_t size;
} dat_hash_node;

/// The most messages that this processor hashes side by side: 8, 4, or 0 if only one at a time.
size_t dat_hash_lanes(void);

/// Hashes the leaves of up to `lanes` blocks side by side, in the time that the longest takes.
///
/// The hashes are BLAKE2b-256 (RFC 7693) without a key. `lanes` is 4 or 8, at most ``dat_hash_lanes()``; `count` is
/// from 1 to `lanes`.
void dat_hash_leaves(const dat_hash_block *blocks, size_t count, size_t lanes);

/// Makes the parents of up to `lanes` pairs of siblings side by side: of the first two children, the next two, and so
/// on.
void dat_hash_parents(
  const dat_hash_node *children, size_t count, dat_hash_node *parents, size_t lanes);

#endif
