// BLAKE2b of several messages at once, each in one lane of vectors (RFC 7693). Included once for each number of
// lanes: LANES, TARGET and NAME are defined before.

typedef uint64_t NAME(vector) __attribute__((vector_size(8 * LANES)));

TARGET static inline NAME(vector) NAME(rotate)(NAME(vector) x, int by) {
  return (x >> by) | (x << (64 - by));
}

#define MIX(a, b, c, d, x, y)        \
  v[a] = v[a] + v[b] + (x);          \
  v[d] = NAME(rotate)(v[d] ^ v[a], 32); \
  v[c] = v[c] + v[d];                \
  v[b] = NAME(rotate)(v[b] ^ v[c], 24); \
  v[a] = v[a] + v[b] + (y);          \
  v[d] = NAME(rotate)(v[d] ^ v[a], 16); \
  v[c] = v[c] + v[d];                \
  v[b] = NAME(rotate)(v[b] ^ v[c], 63)

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
  MIX(0, 4, 8, 12, m[s0], m[s1]);                                                    \
  MIX(1, 5, 9, 13, m[s2], m[s3]);                                                    \
  MIX(2, 6, 10, 14, m[s4], m[s5]);                                                   \
  MIX(3, 7, 11, 15, m[s6], m[s7]);                                                   \
  MIX(0, 5, 10, 15, m[s8], m[s9]);                                                   \
  MIX(1, 6, 11, 12, m[s10], m[s11]);                                                 \
  MIX(2, 7, 8, 13, m[s12], m[s13]);                                                  \
  MIX(3, 4, 9, 14, m[s14], m[s15])

/// Compresses one chunk of each lane into its state. Lanes whose mask is 0 keep theirs.
TARGET static void NAME(compress)(
  NAME(vector) h[8], const uint8_t *const chunk[LANES], NAME(vector) counted, NAME(vector) last,
  NAME(vector) mask) {
  NAME(vector) m[16], v[16];
  for (int word = 0; word < 16; word++) {
    for (int lane = 0; lane < LANES; lane++) {
      uint64_t bits;
      memcpy(&bits, chunk[lane] + 8 * word, 8);
      m[word][lane] = bits;
    }
  }
  for (int i = 0; i < 8; i++) {
    v[i] = h[i];
    v[i + 8] = (NAME(vector)){} + initial[i];
  }
  v[12] ^= counted;
  v[14] ^= last;
  ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
  ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
  ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
  ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
  ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
  ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
  ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
  ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
  ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
  ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
  for (int i = 0; i < 8; i++) h[i] ^= (v[i] ^ v[i + 8]) & mask;
}

TARGET static inline void NAME(begin)(NAME(vector) h[8]) {
  for (int i = 0; i < 8; i++) h[i] = (NAME(vector)){} + initial[i];
  h[0] ^= (NAME(vector)){} + parameters;
}

/// Writes the hash of one lane.
TARGET static inline void NAME(write)(const NAME(vector) h[8], size_t lane, uint8_t *digest) {
  for (int i = 0; i < 4; i++) {
    uint64_t bits = h[i][lane];
    memcpy(digest + 8 * i, &bits, 8);
  }
}

TARGET static void NAME(leaves)(const dat_hash_block *blocks, size_t count) {
  uint8_t buffers[LANES][chunk_bytes] __attribute__((aligned(64)));
  size_t chunks[LANES], most = 1;
  for (size_t lane = 0; lane < LANES; lane++) {
    // Lanes without a block repeat the first one; their hashes are ignored.
    chunks[lane] = chunk_count(&blocks[lane < count ? lane : 0]);
    if (chunks[lane] > most) most = chunks[lane];
  }
  NAME(vector) h[8];
  NAME(begin)(h);
  for (size_t number = 0; number < most; number++) {
    const uint8_t *chunk[LANES];
    NAME(vector) counted, last, mask;
    for (size_t lane = 0; lane < LANES; lane++) {
      const dat_hash_block *block = &blocks[lane < count ? lane : 0];
      chunk[lane] = chunk_of(block, number, buffers[lane]);
      size_t end = (number + 1) * chunk_bytes;
      size_t size = head_bytes + block->size;
      counted[lane] = end < size ? end : size;
      last[lane] = number + 1 == chunks[lane] ? ~0ULL : 0;
      mask[lane] = number < chunks[lane] ? ~0ULL : 0;
    }
    NAME(compress)(h, chunk, counted, last, mask);
  }
  for (size_t lane = 0; lane < count; lane++) NAME(write)(h, lane, blocks[lane].digest);
}

TARGET static void NAME(parents)(
  const dat_hash_node *children, size_t count, dat_hash_node *parents) {
  uint8_t buffers[LANES][chunk_bytes] __attribute__((aligned(64)));
  const uint8_t *chunk[LANES];
  NAME(vector) all = (NAME(vector)){} - 1;
  for (size_t lane = 0; lane < LANES; lane++) {
    const dat_hash_node *left = &children[lane < count ? 2 * lane : 0], *right = left + 1;
    uint8_t *buffer = buffers[lane];
    write_head(buffer, parent_type, left->size + right->size);
    memcpy(buffer + head_bytes, left->hash, 32);
    memcpy(buffer + head_bytes + 32, right->hash, 32);
    memset(buffer + parent_bytes, 0, chunk_bytes - parent_bytes);
    chunk[lane] = buffer;
  }
  NAME(vector) h[8];
  NAME(begin)(h);
  NAME(compress)(h, chunk, (NAME(vector)){} + parent_bytes, all, all);
  for (size_t lane = 0; lane < count; lane++) {
    const dat_hash_node *left = &children[2 * lane], *right = left + 1;
    parents[lane].index = left->index + (right->index - left->index) / 2;
    parents[lane].size = left->size + right->size;
    NAME(write)(h, lane, parents[lane].hash);
  }
}

#undef MIX
#undef ROUND
