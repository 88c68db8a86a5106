// The thread of all peers: libre's loop, woken from elsewhere through a pipe, with a tick for SCTP's timers
// as long as there are peers.
#ifdef DAT_WEBRTC
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

// SCTP's clock: usrsctp asks to be called about this often.
enum { TICK_MS = 10, MAX_DESCRIPTORS = 16384 };

static struct {
  int wake[2];
  void (*woken)(void *);
  void *context;
  cdc_peer **peers;
  size_t count, capacity;
  struct tmr tick;
  uint64_t ticked;
} loop = {.wake = {-1, -1}};

uint64_t cdc_now(void) { return tmr_jiffies(); }

static void on_wake(int flags, void *argument) {
  (void)flags;
  (void)argument;
  uint8_t drained[256];
  while (read(loop.wake[0], drained, sizeof drained) > 0) {
  }
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

static void on_tick(void *argument) {
  (void)argument;
  uint64_t now = cdc_now();
  cdc_sctp_handle_timers((uint32_t)(now - loop.ticked));
  loop.ticked = now;
  for (size_t i = 0; i < loop.count; i++) cdc_sctp_turn(loop.peers[i]);
  if (loop.count) tmr_start(&loop.tick, TICK_MS, on_tick, NULL);
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
  if (loop.count == 1) {
    loop.ticked = cdc_now();
    tmr_start(&loop.tick, TICK_MS, on_tick, NULL);
  }
}

void cdc_loop_remove(cdc_peer *peer) {
  for (size_t i = 0; i < loop.count; i++) {
    if (loop.peers[i] != peer) continue;
    loop.peers[i] = loop.peers[--loop.count];
    break;
  }
  if (!loop.count) tmr_cancel(&loop.tick);
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
