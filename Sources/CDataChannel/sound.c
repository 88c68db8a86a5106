// What the bytes of strangers must pass before a library parses them. Pure functions, in every build.
#include "CDataChannel.h"

static size_t read16(const uint8_t *bytes) { return (size_t)bytes[0] << 8 | bytes[1]; }

bool cdc_is_sound_stun(const uint8_t *bytes, size_t length) {
  // Header: type, length of what follows, the cookie of RFC 5389, a transaction.
  enum { HEADER = 20, MOST = 1500, MOST_ATTRIBUTES = 32 };
  static const uint8_t cookie[4] = {0x21, 0x12, 0xa4, 0x42};
  if (length < HEADER || length > MOST || bytes[0] > 0x3f) return false;
  for (int i = 0; i < 4; i++)
    if (bytes[4 + i] != cookie[i]) return false;
  if (read16(bytes + 2) != length - HEADER || length % 4) return false;
  size_t at = HEADER;
  int count = 0;
  while (at < length) {
    if (length - at < 4 || ++count > MOST_ATTRIBUTES) return false;
    size_t padded = (read16(bytes + at + 2) + 3) & ~(size_t)3;
    if (padded > length - at - 4) return false;
    at += 4 + padded;
  }
  return true;
}

// Chunks that an association of data channels exchanges: RFC 4960, 3758 (forward TSN), 6525 (re-configuration).
static bool is_used(uint8_t kind) {
  return kind <= 11 || kind == 14 || kind == 130 || kind == 192;
}

// What the parameters of a chunk take, from `at` to its end: each with a length that holds and at most so many.
static bool are_parameters(const uint8_t *bytes, size_t at, size_t end) {
  enum { MOST = 64 };
  for (int count = 0; at < end; count++) {
    if (end - at < 4 || count == MOST) return false;
    size_t length = read16(bytes + at + 2);
    if (length < 4 || length > end - at) return false;
    size_t padded = (length + 3) & ~(size_t)3;
    at = padded > end - at ? end : at + padded;
  }
  return true;
}

static bool is_sound_chunk(const uint8_t *chunk, size_t length) {
  switch (chunk[0]) {
  case 0: return length > 16;                                         // DATA with at least a byte
  case 1:                                                             // INIT
  case 2: return length >= 20 && are_parameters(chunk, 20, length);   // INIT ACK
  case 3:                                                             // SACK
    return length >= 16 && 16 + 4 * (read16(chunk + 12) + read16(chunk + 14)) <= length;
  case 4:
  case 5: return length >= 4 && are_parameters(chunk, 4, length);     // heartbeats
  case 6:
  case 9: return are_parameters(chunk, 4, length);                    // ABORT, ERROR
  case 7: return length == 8;                                         // SHUTDOWN
  case 10: return length >= 8;                                        // COOKIE ECHO
  case 130: return are_parameters(chunk, 4, length);                  // RE-CONFIG
  case 192: return length >= 8 && (length - 8) % 4 == 0;              // FORWARD TSN
  default: return true;
  }
}

bool cdc_is_sound_sctp(const uint8_t *bytes, size_t length) {
  enum { HEADER = 12, MOST = 2048, PORT = 5000 };
  if (length < HEADER + 4 || length > MOST || read16(bytes + 2) != PORT) return false;
  size_t at = HEADER;
  while (at < length) {
    if (length - at < 4 || !is_used(bytes[at])) return false;
    size_t chunk = read16(bytes + at + 2);
    if (chunk < 4 || chunk > length - at || !is_sound_chunk(bytes + at, chunk)) return false;
    size_t padded = (chunk + 3) & ~(size_t)3;
    at = padded > length - at ? length : at + padded;
  }
  return true;
}

int cdc_read_dcep(const uint8_t *bytes, size_t length) {
  enum { OPEN = 3, ACK = 2, HEADER = 12 };
  if (length >= 1 && bytes[0] == ACK) return ACK;
  if (length < HEADER || bytes[0] != OPEN) return 0;
  return HEADER + read16(bytes + 8) + read16(bytes + 10) <= length ? OPEN : 0;
}
