/// The transport of a WebRTC data channel: UDP sockets with STUN and TURN (libre), DTLS (OpenSSL), SCTP
/// (usrsctp) and the one channel on it. Which pair of addresses is checked and chosen is decided by the
/// caller; here checks are sent, answered and matched.
///
/// One thread runs `cdc_loop_run`, and every other function but `cdc_loop_wake` is called on that thread.
/// Callbacks come on it too. None of them may free a peer: ask for it with `cdc_loop_wake` and do it later.
///
/// Built without the package trait `WebRTC`, nothing of this is defined.
#ifndef CDATACHANNEL_H
#define CDATACHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  /// Servers of each kind that a peer uses at most.
  CDC_MAX_SERVERS = 4,
  /// Host addresses of one family that a peer offers at most.
  CDC_MAX_HOSTS = 8,
  /// Sockets of one peer: one a family, and one for each TURN server.
  CDC_MAX_LEGS = 2 + CDC_MAX_SERVERS,
  /// The largest message taken, in bytes: what Chromium sends at most.
  CDC_MAX_MESSAGE = 262144,
  /// The bytes of a SHA-256 fingerprint of a certificate.
  CDC_FINGERPRINT = 32,
};

/// An IPv4 address in the first four bytes, or an IPv6 address, and a UDP port.
typedef struct {
  bool is_ipv6;
  uint8_t bytes[16];
  uint16_t port;
} cdc_address;

/// A STUN server, or a TURN server with the name and password of an account there.
typedef struct {
  cdc_address address;
  const char *username;
  const char *password;
} cdc_server;

typedef enum { CDC_HOST = 0, CDC_REFLEXIVE = 1, CDC_RELAYED = 3 } cdc_kind;

/// A way to the other side: one of our sockets and an address there.
typedef struct {
  uint8_t leg;
  cdc_address remote;
} cdc_path;

/// A binding request that the other side sent and that carries our password.
typedef struct {
  cdc_path path;
  uint32_t priority;
  bool nominates;
  /// Whether it names its role, and which; `tie_breaker` goes with it.
  bool has_role;
  bool is_controlling;
  uint64_t tie_breaker;
} cdc_request;

typedef enum { CDC_ACCEPT, CDC_ROLE_CONFLICT, CDC_IGNORE } cdc_verdict;

/// The outcome of a check of ours. A positive value is the STUN error code of the answer.
enum { CDC_ANSWERED = 0, CDC_TIMED_OUT = -1, CDC_ASYMMETRIC = -2 };

/// Why a peer is over.
typedef enum {
  CDC_CLOSED_BY_PEER = 1,
  CDC_HANDSHAKE_FAILED,
  CDC_WRONG_CERTIFICATE,
  CDC_ASSOCIATION_LOST,
  CDC_MESSAGE_TOO_LARGE,
  CDC_FAILED,
} cdc_end;

typedef struct {
  /// An address of ours that the other side may use. `related` is the host address behind it.
  void (*local_candidate)(void *context, cdc_kind kind, uint8_t leg, uint16_t preference,
                          const cdc_address *address, const cdc_address *related);
  /// What a STUN (`CDC_REFLEXIVE`) or TURN server (`CDC_RELAYED`) has said: 0 if it serves us, `CDC_TIMED_OUT` if
  /// nothing came, or the STUN error code with which it refuses.
  void (*server_answered)(void *context, cdc_kind kind, const cdc_address *server, int outcome);
  cdc_verdict (*check_received)(void *context, const cdc_request *request);
  void (*check_answered)(void *context, uint32_t check, int outcome);
  /// The time of `cdc_peer_set_timer` has come.
  void (*timer)(void *context);
  /// The channel can carry messages.
  void (*opened)(void *context);
  /// A message, or a part of one: its bounds mean nothing here.
  void (*received)(void *context, const uint8_t *bytes, size_t length);
  /// `cdc_peer_send` can be tried again.
  void (*writable)(void *context);
  /// Called once; nothing follows.
  void (*ended)(void *context, cdc_end why);
} cdc_callbacks;

typedef struct {
  /// Numeric addresses to bind, without ports; none: all interfaces but loopback.
  const cdc_address *binds;
  size_t bind_count;
  bool offers_hosts;
  const cdc_server *stun_servers;
  size_t stun_count;
  const cdc_server *turn_servers;
  size_t turn_count;
} cdc_options;

typedef struct cdc_peer cdc_peer;

// The loop.

/// Prepares the libraries on the thread that is to run the loop. Returns 0, or an errno.
int cdc_loop_open(void (*woken)(void *context), void *context);
/// Runs until `cdc_loop_stop`.
void cdc_loop_run(void);
void cdc_loop_stop(void);
/// Has `woken` called on the loop's thread, soon and at least once. From any thread.
void cdc_loop_wake(void);
/// Milliseconds of a clock that never goes back.
uint64_t cdc_now(void);

// A peer.

/// A peer with a certificate of its own; NULL without memory.
cdc_peer *cdc_peer_new(const cdc_callbacks *callbacks, void *context);
/// Sends what closes the connection, and frees it.
void cdc_peer_free(cdc_peer *peer);
/// The SHA-256 of its certificate, `CDC_FINGERPRINT` bytes, valid as long as it is.
const uint8_t *cdc_peer_fingerprint(const cdc_peer *peer);
/// Opens the sockets and asks the servers. `password` is what checks for this peer are signed with, and
/// `name` what they are addressed to.
void cdc_peer_gather(cdc_peer *peer, const cdc_options *options, const char *name, const char *password);
/// One call of `timer`, after so many milliseconds; replaces the one before.
void cdc_peer_set_timer(cdc_peer *peer, uint64_t milliseconds);
/// Sends a check. Returns 0, or an errno if it can't be sent.
int cdc_peer_check(cdc_peer *peer, uint32_t check, const cdc_path *path, const char *username,
                   const char *password, uint32_t priority, bool is_controlling, uint64_t tie_breaker,
                   bool nominates);
/// Gives up a check whose answer no longer matters.
void cdc_peer_forget_check(cdc_peer *peer, uint32_t check);
/// Data goes this way from now on; the first time starts DTLS.
void cdc_peer_select(cdc_peer *peer, const cdc_path *path);
/// The other side's description: its certificate's fingerprint, whether this side begins the handshake,
/// its SCTP port, and whether this side opens the channel, with a label of at most 64 bytes.
void cdc_peer_start(cdc_peer *peer, const uint8_t *fingerprint, bool is_client, uint16_t sctp_port,
                    const char *label_to_open);
/// Sends a binary message. Returns how many bytes were taken: all, 0 if there is no room (`writable`
/// follows), or -1 if the connection is over.
ptrdiff_t cdc_peer_send(cdc_peer *peer, const uint8_t *bytes, size_t length);
/// Takes no more messages until they are wanted again; the other side's window closes.
void cdc_peer_set_reading(cdc_peer *peer, bool is_reading);
/// Ends the channel in order: what was sent arrives, then the other side sees it closed.
void cdc_peer_finish(cdc_peer *peer);

// What bytes of strangers must pass before a library sees them. Without state.

/// Whether a datagram is a STUN message whose lengths hold together.
bool cdc_is_sound_stun(const uint8_t *bytes, size_t length);
/// Whether a packet's chunks lie within it, are of kinds that a data channel uses, and name our port.
bool cdc_is_sound_sctp(const uint8_t *bytes, size_t length);
/// Reads a DCEP message. Returns 3 for an opening of a channel with label and protocol within the
/// message, 2 for an acknowledgement, 0 for anything else.
int cdc_read_dcep(const uint8_t *bytes, size_t length);

#endif
