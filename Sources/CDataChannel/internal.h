// Shared by the files of this target alone.
#ifndef CDC_INTERNAL_H
#define CDC_INTERNAL_H

// libre's headers need these, and its pkg-config file names none of them.
#define HAVE_INTTYPES_H 1
#define HAVE_STDBOOL_H 1
#define HAVE_INET6 1
#include <re/re.h>
#define DEBUG_MODULE "datachannel"
#define DEBUG_LEVEL 0
#include <re/re_dbg.h>

#include <openssl/ssl.h>

#include "CDataChannel.h"

struct socket;

enum {
  // What is left of the smallest MTU of IPv6 for a DTLS record.
  CDC_MTU = 1200,
  // Checks that await an answer, of one peer.
  CDC_MAX_CHECKS = 64,
  // Datagrams of the other side's handshake that came before a path was chosen.
  CDC_MAX_EARLY = 8,
  CDC_MAX_DATAGRAM = 1500,
  // The step of SCTP's clock, as usrsctp asks for it.
  CDC_TICK_MS = 10,
};

typedef struct cdc_leg cdc_leg;

// A STUN server that a leg asks which address it sees.
typedef struct {
  cdc_leg *leg;
  cdc_address address;
  struct stun_keepalive *keepalive;
} cdc_seer;

struct cdc_leg {
  cdc_peer *peer;
  uint8_t number;
  int family;
  struct udp_sock *socket;
  struct udp_helper *helper;
  // Of a leg that relays: its server, the allocation, and where the other side reaches it.
  cdc_address server;
  struct turnc *turn;
  struct sa relay;
  bool is_relay;
  // Of one that doesn't: who tells the reflexive address, and that address.
  cdc_seer seers[CDC_MAX_SERVERS];
  struct sa reflexive;
  struct sa hosts[CDC_MAX_HOSTS];
  int host_count;
};

typedef struct {
  cdc_peer *peer;
  uint32_t number;
  struct stun_ctrans *transaction;
  struct sa to;
  uint8_t leg;
} cdc_check;

struct cdc_peer {
  cdc_callbacks callbacks;
  void *context;
  bool has_ended;

  // Sockets and checks.
  cdc_leg legs[CDC_MAX_LEGS];
  int leg_count;
  bool offers_hosts;
  char name[33], password[65];
  struct stun *stun;
  cdc_check checks[CDC_MAX_CHECKS];
  struct sa answer_from;
  uint8_t answer_leg;
  struct tmr timer;
  struct mbuf *out;
  int selected;
  struct sa selected_to;

  // DTLS.
  SSL_CTX *ssl_context;
  SSL *ssl;
  X509 *certificate;
  EVP_PKEY *key;
  uint8_t fingerprint[CDC_FINGERPRINT];
  uint8_t remote_fingerprint[CDC_FINGERPRINT];
  bool is_described, is_client, is_secure;
  const uint8_t *incoming;
  size_t incoming_length;
  uint8_t *early[CDC_MAX_EARLY];
  size_t early_length[CDC_MAX_EARLY];
  int early_count;
  struct tmr handshake_timer;

  // SCTP and the channel.
  struct socket *sctp;
  uint16_t remote_port;
  uint16_t stream;
  bool has_stream, is_open, opens_channel, wants_writable, is_readable, is_reading, is_finishing, has_sent;
  char label[65];
  size_t message_length;
};

// loop.c
void cdc_loop_add(cdc_peer *peer);
void cdc_loop_remove(cdc_peer *peer);
// Has the next tick come within so many milliseconds.
void cdc_loop_due(uint64_t milliseconds);
// Brings SCTP's clock up to date, before anything starts a timer by it.
void cdc_loop_catch_up(void);
void cdc_peer_end(cdc_peer *peer, cdc_end why);

// checks.c
bool cdc_checks_received(struct sa *from, struct mbuf *mb, void *leg);
void cdc_checks_close(cdc_peer *peer);

// sockets.c
void cdc_sockets_close(cdc_peer *peer);
bool cdc_sockets_send(cdc_peer *peer, const uint8_t *bytes, size_t length);
cdc_address cdc_address_of(const struct sa *sa);
bool cdc_sa_of(struct sa *sa, const cdc_address *address);
// Room that libre needs before a datagram, for the header of a relay.
size_t cdc_room(const cdc_leg *leg, bool is_indication);

// dtls.c
bool cdc_dtls_init(cdc_peer *peer);
void cdc_dtls_begin(cdc_peer *peer);
void cdc_dtls_received(cdc_peer *peer, const uint8_t *bytes, size_t length);
int cdc_dtls_send(cdc_peer *peer, const void *bytes, size_t length);
void cdc_dtls_close(cdc_peer *peer);

// sctp.c
void cdc_sctp_init(void);
void cdc_sctp_begin(cdc_peer *peer);
void cdc_sctp_received(cdc_peer *peer, const uint8_t *bytes, size_t length);
void cdc_sctp_turn(cdc_peer *peer);
// Whether its timers may be due soon: it connects, ends, or something is in flight.
bool cdc_sctp_is_busy(cdc_peer *peer);
void cdc_sctp_close(cdc_peer *peer);
void cdc_sctp_handle_timers(uint32_t elapsed);

#endif
