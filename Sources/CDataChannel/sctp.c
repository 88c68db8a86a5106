// One association over DTLS and the one channel on it. RFC 8831 (data channels), 8832 (their announcement).
#ifdef DAT_WEBRTC
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "internal.h"

#define INET 1
#define INET6 1
#include <usrsctp.h>

enum {
  PORT = 5000,
  // Each costs 150 bytes, and a peer has one channel: the first, or the second if both sides open one.
  STREAMS = 64,
  BUFFER = 1 << 20,
  // A datagram without the headers of UDP, IPv6 and DTLS, as other implementations count it.
  PACKET = CDC_MTU - 12 - 48 - 8 - 20,
  RECEIVED_AT_ONCE = 64 << 10,
  // The time in which a packet is acknowledged.
  ACKNOWLEDGE_MS = 20,
  PPID_CONTROL = 50,
  PPID_TEXT = 51,
  PPID_BINARY_PARTIAL = 52,
  PPID_BINARY = 53,
  PPID_TEXT_PARTIAL = 54,
  DCEP_OPEN = 3,
  DCEP_ACK = 2,
};

static int on_output(void *address, void *bytes, size_t length, uint8_t tos, uint8_t fragments) {
  (void)tos;
  (void)fragments;
  return cdc_dtls_send(address, bytes, length);
}

static void be_silent(const char *format, ...) { (void)format; }

void cdc_sctp_init(void) {
  usrsctp_init_nothreads(0, on_output, be_silent);
  usrsctp_sysctl_set_sctp_ecn_enable(0);
  usrsctp_sysctl_set_sctp_pr_enable(1);
  usrsctp_sysctl_set_sctp_asconf_enable(0);
  usrsctp_sysctl_set_sctp_auth_enable(0);
  usrsctp_sysctl_set_sctp_initial_cwnd(10);
  usrsctp_sysctl_set_sctp_max_burst_default(10);
  usrsctp_sysctl_set_sctp_nr_outgoing_streams_default(STREAMS);
  usrsctp_sysctl_set_sctp_max_chunks_on_queue(10 * 1024);
  usrsctp_sysctl_set_sctp_delayed_sack_time_default(ACKNOWLEDGE_MS);
  usrsctp_sysctl_set_sctp_rto_min_default(200);
  usrsctp_sysctl_set_sctp_rto_initial_default(1000);
  usrsctp_sysctl_set_sctp_sendspace(BUFFER);
  usrsctp_sysctl_set_sctp_recvspace(BUFFER);
}

void cdc_sctp_handle_timers(uint32_t elapsed) { usrsctp_handle_timers(elapsed); }

// usrsctp must not be entered again from here: what there is to do is done at the next turn.
static void on_event(struct socket *socket, void *argument, int flags) {
  (void)flags;
  cdc_peer *peer = argument;
  if (usrsctp_get_events(socket) & (SCTP_EVENT_READ | SCTP_EVENT_ERROR)) peer->is_readable = true;
}

static bool set_option(cdc_peer *peer, int level, int name, const void *value, socklen_t length) {
  return usrsctp_setsockopt(peer->sctp, level, name, value, length) == 0;
}

static bool set_options(cdc_peer *peer) {
  struct linger abort_at_close = {1, 0};
  int on = 1;
  struct sctp_assoc_value resets = {SCTP_ALL_ASSOC, SCTP_ENABLE_RESET_STREAM_REQ | SCTP_ENABLE_RESET_ASSOC_REQ |
                                                        SCTP_ENABLE_CHANGE_ASSOC_REQ};
  struct sctp_initmsg streams = {STREAMS, STREAMS, 0, 0};
  const uint16_t events[] = {SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT, SCTP_SHUTDOWN_EVENT};
  for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
    struct sctp_event event = {SCTP_ALL_ASSOC, events[i], 1};
    if (!set_option(peer, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event)) return false;
  }
  return set_option(peer, SOL_SOCKET, SO_LINGER, &abort_at_close, sizeof abort_at_close) &&
         set_option(peer, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on) &&
         set_option(peer, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on) &&
         set_option(peer, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, &resets, sizeof resets) &&
         set_option(peer, IPPROTO_SCTP, SCTP_INITMSG, &streams, sizeof streams);
}

// Before a call that starts timers, with the time in which the first of them may be due.
static void begins(uint64_t milliseconds) {
  cdc_loop_catch_up();
  cdc_loop_due(milliseconds);
}

void cdc_sctp_begin(cdc_peer *peer) {
  begins(CDC_TICK_MS);
  usrsctp_register_address(peer);
  peer->sctp = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
  if (!peer->sctp) return cdc_peer_end(peer, CDC_FAILED);
  usrsctp_set_non_blocking(peer->sctp, 1);
  usrsctp_set_upcall(peer->sctp, on_event, peer);
  struct sockaddr_conn local = {.sconn_family = AF_CONN, .sconn_port = htons(PORT), .sconn_addr = peer};
  struct sockaddr_conn remote = {
      .sconn_family = AF_CONN, .sconn_port = htons(peer->remote_port), .sconn_addr = peer};
  struct sctp_paddrparams path = {.spp_flags = SPP_PMTUD_DISABLE, .spp_pathmtu = PACKET};
  memcpy(&path.spp_address, &remote, sizeof remote);
  // Both sides connect: whoever is first, the associations become one.
  if (!set_options(peer) || usrsctp_bind(peer->sctp, (struct sockaddr *)&local, sizeof local) ||
      (usrsctp_connect(peer->sctp, (struct sockaddr *)&remote, sizeof remote) && errno != EINPROGRESS) ||
      !set_option(peer, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path))
    cdc_peer_end(peer, CDC_FAILED);
}

// MARK: Sending

static int send_message(cdc_peer *peer, uint16_t stream, uint32_t ppid, const void *bytes, size_t length) {
  struct sctp_sendv_spa how = {.sendv_flags = SCTP_SEND_SNDINFO_VALID};
  how.sendv_sndinfo.snd_sid = stream;
  how.sendv_sndinfo.snd_ppid = htonl(ppid);
  begins(CDC_TICK_MS);
  peer->has_sent = true;
  return usrsctp_sendv(peer->sctp, bytes, length, NULL, 0, &how, sizeof how, SCTP_SENDV_SPA, 0) < 0 ? errno : 0;
}

ptrdiff_t cdc_peer_send(cdc_peer *peer, const uint8_t *bytes, size_t length) {
  if (!peer->is_open || peer->has_ended || peer->is_finishing || length > CDC_MAX_MESSAGE) return -1;
  if (!length) return 0;
  int failure = send_message(peer, peer->stream, PPID_BINARY, bytes, length);
  if (failure == EAGAIN || failure == EWOULDBLOCK) {
    peer->wants_writable = true;
    return 0;
  }
  return failure ? -1 : (ptrdiff_t)length;
}

static void reset_stream(cdc_peer *peer) {
  uint8_t storage[sizeof(struct sctp_reset_streams) + sizeof(uint16_t)] __attribute__((aligned(8))) = {0};
  struct sctp_reset_streams *reset = (struct sctp_reset_streams *)storage;
  reset->srs_assoc_id = SCTP_ALL_ASSOC;
  reset->srs_flags = SCTP_STREAM_RESET_OUTGOING;
  reset->srs_number_streams = 1;
  reset->srs_stream_list[0] = peer->stream;
  set_option(peer, IPPROTO_SCTP, SCTP_RESET_STREAMS, reset, sizeof storage);
}

void cdc_peer_finish(cdc_peer *peer) {
  if (peer->is_finishing || peer->has_ended || !peer->sctp || !peer->has_stream) return;
  peer->is_finishing = true;
  begins(CDC_TICK_MS);
  reset_stream(peer);
}

// Whether something that was sent is not acknowledged yet, or waits.
static bool has_output(cdc_peer *peer) {
  struct sctp_status status;
  socklen_t length = sizeof status;
  memset(&status, 0, sizeof status);
  if (usrsctp_getsockopt(peer->sctp, IPPROTO_SCTP, SCTP_STATUS, &status, &length)) return false;
  return status.sstat_unackdata > 0 || status.sstat_penddata > 0;
}

// MARK: The channel

static void is_open(cdc_peer *peer) {
  if (peer->is_open) return;
  peer->is_open = true;
  peer->callbacks.opened(peer->context);
}

static void open_channel(cdc_peer *peer) {
  uint8_t message[12 + sizeof peer->label] = {DCEP_OPEN};
  size_t length = strlen(peer->label);
  message[9] = (uint8_t)length;
  memcpy(message + 12, peer->label, length);
  // The DTLS client takes even numbers: RFC 8832, section 6.
  peer->stream = peer->is_client ? 0 : 1;
  peer->has_stream = true;
  if (send_message(peer, peer->stream, PPID_CONTROL, message, 12 + length)) cdc_peer_end(peer, CDC_FAILED);
}

static void received_control(cdc_peer *peer, uint16_t stream, const uint8_t *bytes, size_t length) {
  switch (cdc_read_dcep(bytes, length)) {
  case DCEP_OPEN: {
    const uint8_t acknowledgement = DCEP_ACK;
    if (send_message(peer, stream, PPID_CONTROL, &acknowledgement, 1)) return;
    // When both offer, the other side listens on the channel that it opened: the first one it opens counts.
    if (peer->has_stream && (peer->is_open || !peer->opens_channel)) return;
    peer->stream = stream;
    peer->has_stream = true;
    is_open(peer);
    break;
  }
  case DCEP_ACK:
    if (peer->has_stream && stream == peer->stream) is_open(peer);
    break;
  default: break;
  }
}

static void association_changed(cdc_peer *peer, const struct sctp_assoc_change *change) {
  switch (change->sac_state) {
  case SCTP_COMM_UP:
    if (peer->opens_channel && !peer->has_stream) open_channel(peer);
    break;
  case SCTP_COMM_LOST:
  case SCTP_CANT_STR_ASSOC: cdc_peer_end(peer, CDC_ASSOCIATION_LOST); break;
  case SCTP_SHUTDOWN_COMP: cdc_peer_end(peer, CDC_CLOSED_BY_PEER); break;
  default: break;
  }
}

static void stream_was_reset(cdc_peer *peer, const struct sctp_stream_reset_event *event) {
  if (event->strreset_flags & (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED)) return;
  if (event->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN) {
    if (!peer->is_finishing) reset_stream(peer);
    cdc_peer_end(peer, CDC_CLOSED_BY_PEER);
  }
}

static void notified(cdc_peer *peer, const uint8_t *bytes, size_t length) {
  const union sctp_notification *event = (const void *)bytes;
  if (length < sizeof event->sn_header) return;
  switch (event->sn_header.sn_type) {
  case SCTP_ASSOC_CHANGE:
    if (length >= sizeof event->sn_assoc_change) association_changed(peer, &event->sn_assoc_change);
    break;
  case SCTP_STREAM_RESET_EVENT:
    if (length >= sizeof event->sn_strreset_event) stream_was_reset(peer, &event->sn_strreset_event);
    break;
  case SCTP_SHUTDOWN_EVENT: cdc_peer_end(peer, CDC_CLOSED_BY_PEER); break;
  default: break;
  }
}

// MARK: Receiving

// A part of a message: the bytes go up at once, since where messages end means nothing to a stream.
static void received_part(cdc_peer *peer, const struct sctp_rcvinfo *info, const uint8_t *bytes, size_t length, bool is_end) {
  uint32_t ppid = ntohl(info->rcv_ppid);
  if (ppid == PPID_CONTROL) {
    // Announcements fit into one packet; a longer one is not for us.
    if (is_end && !peer->message_length) received_control(peer, info->rcv_sid, bytes, length);
    peer->message_length = is_end ? 0 : peer->message_length + length;
  } else {
    peer->message_length += length;
    bool is_data = ppid == PPID_BINARY || ppid == PPID_BINARY_PARTIAL || ppid == PPID_TEXT || ppid == PPID_TEXT_PARTIAL;
    if (is_data && peer->has_stream && info->rcv_sid == peer->stream) {
      // Data on a channel that we opened stands for its acknowledgement.
      is_open(peer);
      if (!peer->has_ended) peer->callbacks.received(peer->context, bytes, length);
    }
    if (is_end) peer->message_length = 0;
  }
  if (peer->message_length > CDC_MAX_MESSAGE) cdc_peer_end(peer, CDC_MESSAGE_TOO_LARGE);
}

static void drain(cdc_peer *peer) {
  static uint8_t buffer[RECEIVED_AT_ONCE] __attribute__((aligned(8)));
  peer->is_readable = false;
  while (peer->is_reading && !peer->has_ended) {
    union sctp_sockstore from;
    socklen_t from_length = sizeof from;
    struct sctp_rcvinfo info;
    socklen_t info_length = sizeof info;
    unsigned kind = 0;
    int flags = 0;
    memset(&info, 0, sizeof info);
    ssize_t length = usrsctp_recvv(peer->sctp, buffer, sizeof buffer, &from.sa, &from_length, &info, &info_length, &kind,
                                   &flags);
    if (length < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return cdc_peer_end(peer, CDC_ASSOCIATION_LOST);
    if (length <= 0) return;
    if (flags & MSG_NOTIFICATION) {
      notified(peer, buffer, (size_t)length);
    } else {
      received_part(peer, &info, buffer, (size_t)length, flags & MSG_EOR);
    }
  }
  // Stopped by its reader: there may be more.
  peer->is_readable = true;
}

void cdc_sctp_turn(cdc_peer *peer) {
  if (!peer->sctp || peer->has_ended) return;
  if (peer->is_readable && peer->is_reading) drain(peer);
  if (peer->wants_writable && !peer->has_ended && (usrsctp_get_events(peer->sctp) & SCTP_EVENT_WRITE)) {
    peer->wants_writable = false;
    peer->callbacks.writable(peer->context);
  }
}

void cdc_sctp_received(cdc_peer *peer, const uint8_t *bytes, size_t length) {
  if (!cdc_is_sound_sctp(bytes, length)) return;
  begins(ACKNOWLEDGE_MS);
  usrsctp_conninput(peer, bytes, length, 0);
  cdc_sctp_turn(peer);
}

bool cdc_sctp_is_busy(cdc_peer *peer) {
  if (!peer->sctp || peer->has_ended) return false;
  if (!peer->is_open || peer->is_finishing) return true;
  return peer->has_sent = peer->has_sent && has_output(peer);
}

void cdc_peer_set_reading(cdc_peer *peer, bool is_reading) {
  peer->is_reading = is_reading;
  if (is_reading && peer->is_readable) cdc_loop_due(0);
}

void cdc_sctp_close(cdc_peer *peer) {
  if (!peer->sctp) return;
  usrsctp_set_upcall(peer->sctp, NULL, NULL);
  usrsctp_close(peer->sctp);
  usrsctp_deregister_address(peer);
  peer->sctp = NULL;
}
#endif
