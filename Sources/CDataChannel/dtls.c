// DTLS 1.2 over the chosen path, with a certificate made for the connection. It is checked against the fingerprint
// of the other side's description, which is what binds the connection to the hub's messages.
#ifdef DAT_WEBRTC
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum {
  // OpenSSL would first send again after 1 s, which a flight lost before the path is ready would cost.
  FIRST_TIMEOUT_US = 100000,
  LAST_TIMEOUT_US = 3000000,
  CERTIFICATE_DAYS = 30,
};

// MARK: Datagrams as OpenSSL wants them: one a read, one a write

static int bio_write(BIO *bio, const char *bytes, int length) {
  BIO_clear_retry_flags(bio);
  // One that can't be sent is a lost one.
  cdc_sockets_send(BIO_get_data(bio), (const uint8_t *)bytes, (size_t)length);
  return length;
}

static int bio_read(BIO *bio, char *into, int length) {
  cdc_peer *peer = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (!peer->incoming_length || length < 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t count = peer->incoming_length < (size_t)length ? peer->incoming_length : (size_t)length;
  memcpy(into, peer->incoming, count);
  peer->incoming_length = 0;
  return (int)count;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  switch (command) {
  case BIO_CTRL_FLUSH: return 1;
  case BIO_CTRL_DGRAM_QUERY_MTU:
  case BIO_CTRL_DGRAM_GET_FALLBACK_MTU: return CDC_MTU;
  default: return 0;
  }
}

static int bio_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

static BIO_METHOD *bio_method(void) {
  static BIO_METHOD *method;
  if (method) return method;
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "data channel");
  if (!method) return NULL;
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_ctrl(method, bio_control);
  BIO_meth_set_create(method, bio_create);
  return method;
}

// MARK: The certificate

static bool digest(const X509 *certificate, uint8_t *into) {
  unsigned length = 0;
  unsigned char bytes[EVP_MAX_MD_SIZE];
  if (!certificate || !X509_digest(certificate, EVP_sha256(), bytes, &length) || length != CDC_FINGERPRINT) return false;
  memcpy(into, bytes, CDC_FINGERPRINT);
  return true;
}

// Nobody has signed these certificates; the fingerprint is compared after the handshake.
static int accept_any(int is_sound, X509_STORE_CTX *store) {
  (void)is_sound;
  (void)store;
  return 1;
}

static bool make_certificate(cdc_peer *peer) {
  peer->key = EVP_EC_gen("P-256");
  X509 *certificate = peer->certificate = X509_new();
  uint64_t serial = 0;
  if (!peer->key || !certificate || RAND_bytes((unsigned char *)&serial, sizeof serial) != 1) return false;
  X509_NAME *name = X509_get_subject_name(certificate);
  return X509_set_version(certificate, 2) &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 3600) &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), (long)CERTIFICATE_DAYS * 24 * 3600) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"WebRTC", -1, -1, 0) &&
         X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, peer->key) &&
         X509_sign(certificate, peer->key, EVP_sha256()) && digest(certificate, peer->fingerprint);
}

bool cdc_dtls_init(cdc_peer *peer) {
  if (!make_certificate(peer)) return false;
  SSL_CTX *context = peer->ssl_context = SSL_CTX_new(DTLS_method());
  if (!context || !SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) ||
      SSL_CTX_use_certificate(context, peer->certificate) != 1 || SSL_CTX_use_PrivateKey(context, peer->key) != 1)
    return false;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
  SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  // Records are of one datagram; without it buffers for 16 KiB are kept.
  SSL_CTX_set_max_send_fragment(context, 2 * CDC_MAX_DATAGRAM);
  return true;
}

const uint8_t *cdc_peer_fingerprint(const cdc_peer *peer) { return peer->fingerprint; }

// MARK: The handshake

static unsigned next_timeout(SSL *ssl, unsigned last) {
  (void)ssl;
  return last == 0 ? FIRST_TIMEOUT_US : last < LAST_TIMEOUT_US ? 2 * last : last;
}

static void set_handshake_timer(cdc_peer *peer);

static void on_handshake_timer(void *argument) {
  cdc_peer *peer = argument;
  if (peer->has_ended || peer->is_secure) return;
  if (DTLSv1_handle_timeout(peer->ssl) < 0) return cdc_peer_end(peer, CDC_HANDSHAKE_FAILED);
  set_handshake_timer(peer);
}

static void set_handshake_timer(cdc_peer *peer) {
  struct timeval left;
  if (peer->is_secure || !peer->ssl || !DTLSv1_get_timeout(peer->ssl, &left)) return;
  tmr_start(&peer->handshake_timer, (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1, on_handshake_timer,
            peer);
}

static bool is_expected(cdc_peer *peer) {
  uint8_t found[CDC_FINGERPRINT];
  X509 *certificate = SSL_get1_peer_certificate(peer->ssl);
  bool is_same = digest(certificate, found) && !CRYPTO_memcmp(found, peer->remote_fingerprint, CDC_FINGERPRINT);
  X509_free(certificate);
  return is_same;
}

static void shake_hands(cdc_peer *peer) {
  ERR_clear_error();
  int result = SSL_do_handshake(peer->ssl);
  if (result != 1) {
    int why = SSL_get_error(peer->ssl, result);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) cdc_peer_end(peer, CDC_HANDSHAKE_FAILED);
    return set_handshake_timer(peer);
  }
  if (!is_expected(peer)) return cdc_peer_end(peer, CDC_WRONG_CERTIFICATE);
  peer->is_secure = true;
  tmr_cancel(&peer->handshake_timer);
  cdc_sctp_begin(peer);
}

static void read_records(cdc_peer *peer) {
  uint8_t record[2048];
  while (!peer->has_ended) {
    ERR_clear_error();
    int length = SSL_read(peer->ssl, record, sizeof record);
    if (length <= 0) {
      if (SSL_get_error(peer->ssl, length) == SSL_ERROR_ZERO_RETURN) cdc_peer_end(peer, CDC_CLOSED_BY_PEER);
      return;
    }
    cdc_sctp_received(peer, record, (size_t)length);
  }
}

static void advance(cdc_peer *peer) {
  if (!peer->is_secure) shake_hands(peer);
  if (peer->is_secure && !peer->has_ended) read_records(peer);
}

static void forget_early(cdc_peer *peer) {
  for (int i = 0; i < peer->early_count; i++) free(peer->early[i]);
  peer->early_count = 0;
}

void cdc_dtls_begin(cdc_peer *peer) {
  if (peer->ssl || !peer->is_described || peer->selected < 0 || peer->has_ended) return;
  BIO *bio = bio_method() ? BIO_new(bio_method()) : NULL;
  peer->ssl = SSL_new(peer->ssl_context);
  if (!bio || !peer->ssl) {
    BIO_free(bio);
    return cdc_peer_end(peer, CDC_FAILED);
  }
  BIO_set_data(bio, peer);
  SSL_set_bio(peer->ssl, bio, bio);
  DTLS_set_link_mtu(peer->ssl, CDC_MTU);
  DTLS_set_timer_cb(peer->ssl, next_timeout);
  if (peer->is_client) {
    SSL_set_connect_state(peer->ssl);
  } else {
    SSL_set_accept_state(peer->ssl);
  }
  advance(peer);
  for (int i = 0; i < peer->early_count && !peer->has_ended; i++) {
    peer->incoming = peer->early[i];
    peer->incoming_length = peer->early_length[i];
    advance(peer);
  }
  peer->incoming_length = 0;
  forget_early(peer);
}

void cdc_dtls_received(cdc_peer *peer, const uint8_t *bytes, size_t length) {
  // A record's header has 13 bytes; its type is between 20 and 63, which tells it from STUN: RFC 7983.
  if (length < 13 || length > CDC_MAX_DATAGRAM || bytes[0] < 20 || bytes[0] > 63) return;
  if (!peer->ssl) {
    // The first flight may be here before the path is chosen: kept till then.
    if (peer->early_count == CDC_MAX_EARLY) return;
    uint8_t *kept = malloc(length);
    if (!kept) return;
    peer->early[peer->early_count] = memcpy(kept, bytes, length);
    peer->early_length[peer->early_count++] = length;
    return;
  }
  peer->incoming = bytes;
  peer->incoming_length = length;
  advance(peer);
  peer->incoming_length = 0;
}

int cdc_dtls_send(cdc_peer *peer, const void *bytes, size_t length) {
  if (!peer->is_secure || length > CDC_MAX_DATAGRAM) return EIO;
  ERR_clear_error();
  return SSL_write(peer->ssl, bytes, (int)length) > 0 ? 0 : EIO;
}

void cdc_dtls_close(cdc_peer *peer) {
  forget_early(peer);
  if (peer->ssl) {
    if (peer->is_secure) SSL_shutdown(peer->ssl);
    SSL_free(peer->ssl);
    peer->ssl = NULL;
  }
  SSL_CTX_free(peer->ssl_context);
  X509_free(peer->certificate);
  EVP_PKEY_free(peer->key);
}

// MARK: Where the two halves of a beginning meet

void cdc_peer_start(cdc_peer *peer, const uint8_t *fingerprint, bool is_client, uint16_t sctp_port,
                    const char *label_to_open) {
  if (peer->is_described) return;
  memcpy(peer->remote_fingerprint, fingerprint, CDC_FINGERPRINT);
  peer->is_client = is_client;
  peer->remote_port = sctp_port;
  peer->opens_channel = label_to_open != NULL;
  if (label_to_open) strncpy(peer->label, label_to_open, sizeof peer->label - 1);
  peer->is_described = true;
  cdc_dtls_begin(peer);
}

void cdc_peer_select(cdc_peer *peer, const cdc_path *path) {
  if (path->leg >= peer->leg_count) return;
  cdc_sa_of(&peer->selected_to, &path->remote);
  peer->selected = path->leg;
  cdc_dtls_begin(peer);
}
#endif
