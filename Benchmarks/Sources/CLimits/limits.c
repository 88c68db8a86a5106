#include "limits_of_sodium.h"

#include <sodium.h>
#include <stdlib.h>

static unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
static unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
static unsigned char signature[crypto_sign_BYTES];
static unsigned char message[32];
static unsigned char buffer[64 * 1024];

void limit_prepare(void) {
  if (sodium_init() < 0) abort();
  crypto_sign_keypair(public_key, secret_key);
  crypto_sign_detached(signature, NULL, message, sizeof message, secret_key);
}

void limit_sign(size_t count) {
  for (size_t i = 0; i < count; i++) {
    crypto_sign_detached(signature, NULL, message, sizeof message, secret_key);
  }
}

void limit_verify(size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (crypto_sign_verify_detached(signature, message, sizeof message, public_key) != 0) abort();
  }
}

void limit_blake2b(size_t count, size_t size) {
  for (size_t i = 0; i < count; i++) {
    crypto_generichash(message, sizeof message, buffer, size, NULL, 0);
  }
}

void limit_xsalsa20(size_t count, size_t size) {
  static unsigned char nonce[crypto_stream_NONCEBYTES];
  for (size_t i = 0; i < count; i++) {
    crypto_stream_xsalsa20_xor_ic(buffer, buffer, size, nonce, i * (size / 64), secret_key);
  }
}
