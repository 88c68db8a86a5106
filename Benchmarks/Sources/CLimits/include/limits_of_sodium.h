#ifndef LIMITS_OF_SODIUM_H
#define LIMITS_OF_SODIUM_H

#include <stddef.h>

// Each runs one libsodium call `count` times, over `size` bytes a call where that matters.
void limit_prepare(void);
void limit_sign(size_t count);
void limit_verify(size_t count);
void limit_blake2b(size_t count, size_t size);
void limit_xsalsa20(size_t count, size_t size);

#endif
