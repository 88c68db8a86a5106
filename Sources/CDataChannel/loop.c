// The thread of all peers: libre's loop, woken from elsewhere through a pipe, with a tick for SCTP's timers as long as
// there are peers. It is a quick one only while an association is made or has something in flight.
#ifdef DAT_WEBRTC
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

enum {
  // The tick of peers that do nothing. Late by so much are heartbeats, every 30 s, and the clean-up of associations that
  // are over.
  IDLE_TICK_MS = 1000,
  MAX_DESCRIPTORS = 16384,
};

static struct {
  int wake[2];
  void (*woken)(void *);
  void *context;
  cdc_peer **peers;
  size_t count, capacity;
  struct tmr tick;
  // The time up to which SCTP's clock has gone, and that of the next tick.
  uint64_t ticked, due;
} loop = {.wake = {-1, -1}, .due = UINT64_MAX};

uint64_t cdc_now(void) { return tmr_jiffies(); }

static void on_wake(int flags, void *argument) {
  (void)flags;
  (void)argument;
  uint8_t drained[16];
  ssize_t ignored = read(loop.wake[0], drained, sizeof drained);
  (void)ignored;
  loop.woken(loop.context);
}

int cdc_loop_open(void (*woken)(void *), void *context) {
  loop.woken = woken;
  loop.context = context;
  // libre_init puts a handler of its own in place of the program's.
  struct sigaction before;
  sigaction(SIGPIPE, NULL, &before);
  int failure = libre_init();
  sigaction(SIGPIPE, &before, NULL);
  if (failure) return failure;
  dbg_init(DBG_EMERG, DBG_NONE);
  if ((failure = re_thread_init()) != 0 && failure != EALREADY) return failure;
  fd_setsize(MAX_DESCRIPTORS);
  if (pipe(loop.wake)) return errno;
  for (int end = 0; end < 2; end++) {
    fcntl(loop.wake[end], F_SETFL, O_NONBLOCK);
    fcntl(loop.wake[end], F_SETFD, FD_CLOEXEC);
  }
  tmr_init(&loop.tick);
  cdc_sctp_init();
  return fd_listen(loop.wake[0], FD_READ, on_wake, NULL);
}

void cdc_loop_run(void) { re_main(NULL); }

void cdc_loop_stop(void) { re_cancel(); }

void cdc_loop_wake(void) {
  // A full pipe wakes as well.
  uint8_t byte = 0;
  ssize_t ignored = write(loop.wake[1], &byte, 1);
  (void)ignored;
}

static void on_tick(void *argument);

void cdc_loop_due(uint64_t milliseconds) {
  uint64_t at = cdc_now() + milliseconds;
  if (!loop.count || at >= loop.due) return;
  loop.due = at;
  tmr_start(&loop.tick, milliseconds, on_tick, NULL);
}

static void advance(uint64_t now) {
  uint64_t elapsed = now - loop.ticked;
  // A tick that is late by more than a step means that this thread did not run. What came meanwhile waits in the
  // sockets, and must not be called lost for that.
  uint64_t planned = (loop.due > loop.ticked ? loop.due - loop.ticked : 0) + CDC_TICK_MS;
  if (loop.due <= now && planned < elapsed) elapsed = planned;
  loop.ticked = now;
  cdc_sctp_handle_timers((uint32_t)elapsed);
}

void cdc_loop_catch_up(void) {
  uint64_t now = cdc_now();
  if (now >= loop.ticked + CDC_TICK_MS) advance(now);
}

static void on_tick(void *argument) {
  (void)argument;
  advance(cdc_now());
  loop.due = UINT64_MAX;
  bool is_busy = false;
  for (size_t i = 0; i < loop.count; i++) {
    cdc_sctp_turn(loop.peers[i]);
    is_busy = cdc_sctp_is_busy(loop.peers[i]) || is_busy;
  }
  cdc_loop_due(is_busy ? CDC_TICK_MS : IDLE_TICK_MS);
}

void cdc_loop_add(cdc_peer *peer) {
  if (loop.count == loop.capacity) {
    size_t capacity = loop.capacity ? 2 * loop.capacity : 16;
    cdc_peer **peers = realloc(loop.peers, capacity * sizeof *peers);
    if (!peers) return;
    loop.peers = peers;
    loop.capacity = capacity;
  }
  loop.peers[loop.count++] = peer;
  if (loop.count > 1) return;
  loop.ticked = cdc_now();
  cdc_loop_due(IDLE_TICK_MS);
}

void cdc_loop_remove(cdc_peer *peer) {
  for (size_t i = 0; i < loop.count; i++) {
    if (loop.peers[i] != peer) continue;
    loop.peers[i] = loop.peers[--loop.count];
    break;
  }
  if (loop.count) return;
  tmr_cancel(&loop.tick);
  loop.due = UINT64_MAX;
}

void cdc_peer_end(cdc_peer *peer, cdc_end why) {
  if (peer->has_ended) return;
  peer->has_ended = true;
  peer->is_open = false;
  peer->callbacks.ended(peer->context, why);
}

static void on_timer(void *argument) {
  cdc_peer *peer = argument;
  if (!peer->has_ended) peer->callbacks.timer(peer->context);
}

void cdc_peer_set_timer(cdc_peer *peer, uint64_t milliseconds) {
  tmr_start(&peer->timer, milliseconds, on_timer, peer);
}

cdc_peer *cdc_peer_new(const cdc_callbacks *callbacks, void *context) {
  cdc_peer *peer = calloc(1, sizeof *peer);
  if (!peer) return NULL;
  peer->callbacks = *callbacks;
  peer->context = context;
  peer->selected = -1;
  peer->is_reading = true;
  tmr_init(&peer->timer);
  tmr_init(&peer->handshake_timer);
  peer->out = mbuf_alloc(CDC_MAX_DATAGRAM);
  if (!peer->out || !cdc_dtls_init(peer)) {
    cdc_peer_free(peer);
    return NULL;
  }
  cdc_loop_add(peer);
  return peer;
}

void cdc_peer_free(cdc_peer *peer) {
  peer->has_ended = true;
  cdc_loop_remove(peer);
  tmr_cancel(&peer->timer);
  tmr_cancel(&peer->handshake_timer);
  cdc_sctp_close(peer);
  cdc_dtls_close(peer);
  cdc_checks_close(peer);
  cdc_sockets_close(peer);
  mem_deref(peer->out);
  free(peer);
}
#endif
