// The sockets of a peer: one a family for its own addresses and those that STUN servers see, and one for each
// TURN server, so that what a relay passes on is known by its socket.
#ifdef DAT_WEBRTC
#include <string.h>

#include "internal.h"

// A helper with a lower layer sees a datagram first. STUN comes before TURN: libre's TURN client takes all that
// its server sends.
enum { LAYER_STUN = -20, LAYER_TURN = -10, LAYER_CHECKS = 0 };
// What libre puts before a relayed datagram: a channel's header, or an indication's.
enum { CHANNEL_ROOM = 4, INDICATION_ROOM = 48 };
// How often a STUN server is asked again, in seconds: NATs forget a mapping after 30.
enum { KEEPALIVE_S = 25, SOCKET_BUFFER = 4 << 20 };

// Requests to servers: first again after 250 ms, six times in all, given up after 10 s.
static const struct stun_conf patience = {250, 6, 8, STUN_DEFAULT_TI, 0};

cdc_address cdc_address_of(const struct sa *sa) {
  cdc_address address = {.is_ipv6 = sa_af(sa) == AF_INET6, .port = sa_port(sa)};
  if (address.is_ipv6) {
    sa_in6(sa, address.bytes);
  } else {
    uint32_t number = sa_in(sa);
    for (int i = 0; i < 4; i++) address.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
  }
  return address;
}

bool cdc_sa_of(struct sa *sa, const cdc_address *address) {
  if (address->is_ipv6) {
    sa_set_in6(sa, address->bytes, address->port);
  } else {
    uint32_t number = 0;
    for (int i = 0; i < 4; i++) number = number << 8 | address->bytes[i];
    sa_set_in(sa, number, address->port);
  }
  return true;
}

size_t cdc_room(const cdc_leg *leg, bool is_indication) {
  return leg->is_relay ? (is_indication ? INDICATION_ROOM : CHANNEL_ROOM) : 0;
}

// MARK: Local addresses

static void tell(cdc_leg *leg, cdc_kind kind, uint16_t preference, const struct sa *sa, const struct sa *related) {
  cdc_peer *peer = leg->peer;
  if (peer->has_ended || (kind == CDC_HOST && !peer->offers_hosts)) return;
  cdc_address address = cdc_address_of(sa), behind = {0};
  if (related && peer->offers_hosts) behind = cdc_address_of(related);
  peer->callbacks.local_candidate(peer->context, kind, leg->number, preference, &address, related ? &behind : NULL);
}

static void is_seen_as(cdc_leg *leg, const struct sa *sa) {
  if (sa_isset(&leg->reflexive, SA_PORT)) return;
  leg->reflexive = *sa;
  for (int i = 0; i < leg->host_count; i++)
    if (sa_cmp(&leg->hosts[i], sa, SA_ALL)) return;
  tell(leg, CDC_REFLEXIVE, 65535, sa, leg->host_count ? &leg->hosts[0] : sa);
}

static void heard_of(cdc_peer *peer, cdc_kind kind, const cdc_address *server, int outcome) {
  if (!peer->has_ended) peer->callbacks.server_answered(peer->context, kind, server, outcome);
}

static void on_mapped(int failure, const struct sa *map, void *argument) {
  cdc_seer *seer = argument;
  bool is_known = !failure && map && sa_isset(map, SA_PORT);
  heard_of(seer->leg->peer, CDC_REFLEXIVE, &seer->address, is_known ? CDC_ANSWERED : CDC_TIMED_OUT);
  if (is_known) is_seen_as(seer->leg, map);
}

static void on_allocated(int failure, uint16_t code, const char *reason, const struct sa *relay,
                         const struct sa *map, const struct stun_msg *message, void *argument) {
  (void)reason;
  (void)message;
  cdc_leg *leg = argument;
  // A refused channel comes here as well: one address that the server doesn't reach; the rest stays.
  if (sa_isset(&leg->relay, SA_PORT)) return;
  heard_of(leg->peer, CDC_RELAYED, &leg->server, failure || (!code && !relay) ? CDC_TIMED_OUT : code);
  if (failure || code || !relay) return;
  leg->relay = *relay;
  tell(leg, CDC_RELAYED, 65535, relay, map ? map : relay);
}

static void on_datagram(const struct sa *from, struct mbuf *mb, void *argument) {
  (void)from;
  cdc_leg *leg = argument;
  if (leg->peer->has_ended || (leg->is_relay && mb->pos == 0)) return;
  cdc_dtls_received(leg->peer, mbuf_buf(mb), mbuf_get_left(mb));
}

// MARK: Opening

static cdc_leg *add_leg(cdc_peer *peer, int family, bool is_relay) {
  if (peer->leg_count == CDC_MAX_LEGS) return NULL;
  cdc_leg *leg = &peer->legs[peer->leg_count];
  leg->peer = peer;
  leg->number = (uint8_t)peer->leg_count++;
  leg->family = family;
  leg->is_relay = is_relay;
  sa_init(&leg->reflexive, family);
  sa_init(&leg->relay, family);
  return leg;
}

static cdc_leg *own_leg(cdc_peer *peer, int family) {
  for (int i = 0; i < peer->leg_count; i++)
    if (!peer->legs[i].is_relay && peer->legs[i].family == family) return &peer->legs[i];
  return add_leg(peer, family, false);
}

static bool add_host(cdc_peer *peer, const struct sa *sa) {
  cdc_leg *leg = own_leg(peer, sa_af(sa));
  if (leg && leg->host_count < CDC_MAX_HOSTS) leg->hosts[leg->host_count++] = *sa;
  return false;
}

static bool on_interface(const char *name, const struct sa *sa, void *argument) {
  (void)name;
  if (sa_is_loopback(sa) || sa_is_linklocal(sa)) return false;
  return add_host(argument, sa);
}

static bool open_leg(cdc_leg *leg, const struct sa *bound) {
  struct sa at;
  struct sa any;
  sa_init(&any, leg->family);
  if (udp_listen(&leg->socket, bound ? bound : &any, on_datagram, leg) || udp_local_get(leg->socket, &at) ||
      udp_register_helper(&leg->helper, leg->socket, LAYER_CHECKS, NULL, cdc_checks_received, leg)) {
    leg->socket = mem_deref(leg->socket);
    leg->host_count = 0;
    return false;
  }
  udp_sockbuf_set(leg->socket, SOCKET_BUFFER);
  for (int i = 0; i < leg->host_count; i++) sa_set_port(&leg->hosts[i], sa_port(&at));
  return true;
}

static void ask_stun(cdc_leg *leg, const cdc_options *options) {
  for (size_t i = 0; i < options->stun_count && i < CDC_MAX_SERVERS; i++) {
    struct sa server;
    cdc_sa_of(&server, &options->stun_servers[i].address);
    if (sa_af(&server) != leg->family) continue;
    cdc_seer *seer = &leg->seers[i];
    seer->leg = leg;
    seer->address = options->stun_servers[i].address;
    if (stun_keepalive_alloc(&seer->keepalive, IPPROTO_UDP, leg->socket, LAYER_STUN, &server, &patience, on_mapped,
                             seer))
      continue;
    stun_keepalive_enable(seer->keepalive, KEEPALIVE_S);
  }
}

static void ask_turn(cdc_peer *peer, const cdc_server *server, const struct sa *bound) {
  struct sa to;
  cdc_sa_of(&to, &server->address);
  cdc_leg *leg = add_leg(peer, sa_af(&to), true);
  if (!leg || !open_leg(leg, bound)) return;
  leg->server = server->address;
  turnc_alloc(&leg->turn, &patience, IPPROTO_UDP, leg->socket, LAYER_TURN, &to, server->username, server->password,
              TURN_DEFAULT_LIFETIME, on_allocated, leg);
}

void cdc_peer_gather(cdc_peer *peer, const cdc_options *options, const char *name, const char *password) {
  // Transactions: first again after 150 ms, five times in all, so that a lost packet costs little and a dead
  // address is known within 5 s.
  const struct stun_conf conf = {150, 5, 4, STUN_DEFAULT_TI, 0};
  strncpy(peer->name, name, sizeof peer->name - 1);
  strncpy(peer->password, password, sizeof peer->password - 1);
  peer->offers_hosts = options->offers_hosts;
  struct sa bound[CDC_MAX_HOSTS];
  size_t bound_count = 0;
  if (!stun_alloc(&peer->stun, &conf, NULL, NULL)) {
    for (; bound_count < options->bind_count && bound_count < CDC_MAX_HOSTS; bound_count++) {
      cdc_sa_of(&bound[bound_count], &options->binds[bound_count]);
      add_host(peer, &bound[bound_count]);
    }
    if (!bound_count) net_if_apply(on_interface, peer);
    int own = peer->leg_count;
    for (int i = 0; i < own; i++) {
      cdc_leg *leg = &peer->legs[i];
      // A socket on one address where one is named; on all where there are several or none.
      bool is_single = bound_count && leg->host_count == 1;
      if (!open_leg(leg, is_single ? &leg->hosts[0] : NULL)) continue;
      for (int host = 0; host < leg->host_count; host++)
        tell(leg, CDC_HOST, (uint16_t)(65535 - host), &leg->hosts[host], NULL);
      ask_stun(leg, options);
    }
    for (size_t i = 0; i < options->turn_count && i < CDC_MAX_SERVERS; i++)
      ask_turn(peer, &options->turn_servers[i], NULL);
  }
}

bool cdc_sockets_send(cdc_peer *peer, const uint8_t *bytes, size_t length) {
  if (peer->selected < 0) return false;
  cdc_leg *leg = &peer->legs[peer->selected];
  size_t room = cdc_room(leg, true);
  struct mbuf *out = peer->out;
  out->pos = out->end = room;
  if (!leg->socket || mbuf_write_mem(out, bytes, length)) return false;
  out->pos = room;
  return udp_send(leg->socket, &peer->selected_to, out) == 0;
}

void cdc_sockets_close(cdc_peer *peer) {
  for (int i = 0; i < peer->leg_count; i++) {
    cdc_leg *leg = &peer->legs[i];
    for (int server = 0; server < CDC_MAX_SERVERS; server++) mem_deref(leg->seers[server].keepalive);
    mem_deref(leg->turn);
    mem_deref(leg->helper);
    mem_deref(leg->socket);
  }
  peer->leg_count = 0;
  peer->stun = mem_deref(peer->stun);
}
#endif
