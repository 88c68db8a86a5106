// Connectivity checks on the wire: requests of ours matched with their answers, requests of the other side
// handed up and answered. RFC 8445 sections 7.2 and 7.3; which check is sent when is the caller's business.
#ifdef DAT_WEBRTC
#include <string.h>

#include "internal.h"

static cdc_check *free_check(cdc_peer *peer) {
  for (int i = 0; i < CDC_MAX_CHECKS; i++)
    if (!peer->checks[i].peer) return &peer->checks[i];
  return NULL;
}

static void on_answer(int failure, uint16_t code, const char *reason, const struct stun_msg *message, void *argument) {
  (void)reason;
  (void)message;
  cdc_check *check = argument;
  cdc_peer *peer = check->peer;
  uint32_t number = check->number;
  int outcome = failure ? CDC_TIMED_OUT : code;
  // An answer from elsewhere than was asked proves nothing: RFC 8445, 7.2.5.2.1.
  if (!failure && !code && (!sa_cmp(&peer->answer_from, &check->to, SA_ALL) || peer->answer_leg != check->leg))
    outcome = CDC_ASYMMETRIC;
  check->peer = NULL;
  check->transaction = NULL;
  if (!peer->has_ended) peer->callbacks.check_answered(peer->context, number, outcome);
}

int cdc_peer_check(cdc_peer *peer, uint32_t number, const cdc_path *path, const char *username, const char *password,
                   uint32_t priority, bool is_controlling, uint64_t tie_breaker, bool nominates) {
  if (path->leg >= peer->leg_count) return EINVAL;
  cdc_leg *leg = &peer->legs[path->leg];
  cdc_check *check = free_check(peer);
  if (!leg->socket || !check || peer->has_ended) return ENOBUFS;
  cdc_sa_of(&check->to, &path->remote);
  // The relay has to let the other side's packets in.
  if (leg->is_relay && turnc_add_chan(leg->turn, &check->to, NULL, NULL)) return EHOSTUNREACH;
  check->peer = peer;
  check->number = number;
  check->leg = path->leg;
  bool yes = true;
  int failure = stun_request(
      &check->transaction, peer->stun, IPPROTO_UDP, leg->socket, &check->to, cdc_room(leg, false), STUN_METHOD_BINDING,
      (const uint8_t *)password, strlen(password), true, on_answer, check, 4, STUN_ATTR_USERNAME, username,
      STUN_ATTR_PRIORITY, &priority, is_controlling ? STUN_ATTR_CONTROLLING : STUN_ATTR_CONTROLLED, &tie_breaker,
      STUN_ATTR_USE_CAND, nominates ? &yes : NULL);
  if (failure) {
    check->peer = NULL;
    check->transaction = mem_deref(check->transaction);
  }
  return failure;
}

void cdc_peer_forget_check(cdc_peer *peer, uint32_t number) {
  for (int i = 0; i < CDC_MAX_CHECKS; i++) {
    cdc_check *check = &peer->checks[i];
    if (!check->peer || check->number != number) continue;
    check->transaction = mem_deref(check->transaction);
    check->peer = NULL;
  }
}

void cdc_checks_close(cdc_peer *peer) {
  for (int i = 0; i < CDC_MAX_CHECKS; i++) {
    peer->checks[i].transaction = mem_deref(peer->checks[i].transaction);
    peer->checks[i].peer = NULL;
  }
}

// MARK: Requests of the other side

// Whether a request is addressed to this peer and signed with its password.
static bool is_ours(const cdc_peer *peer, const struct stun_msg *message) {
  const struct stun_attr *username = stun_msg_attr(message, STUN_ATTR_USERNAME);
  size_t length = strlen(peer->name);
  if (!length || !username || !username->v.username) return false;
  if (strncmp(username->v.username, peer->name, length) || username->v.username[length] != ':') return false;
  return !stun_msg_chk_mi(message, (const uint8_t *)peer->password, strlen(peer->password));
}

static void answer(cdc_leg *leg, const struct sa *from, const struct stun_msg *message) {
  cdc_peer *peer = leg->peer;
  const struct stun_attr *priority = stun_msg_attr(message, STUN_ATTR_PRIORITY);
  const struct stun_attr *controlling = stun_msg_attr(message, STUN_ATTR_CONTROLLING);
  const struct stun_attr *controlled = stun_msg_attr(message, STUN_ATTR_CONTROLLED);
  cdc_request request = {
      .path = {.leg = leg->number, .remote = cdc_address_of(from)},
      .priority = priority ? priority->v.priority : 1,
      .nominates = stun_msg_attr(message, STUN_ATTR_USE_CAND) != NULL,
      .has_role = controlling || controlled,
      .is_controlling = controlling != NULL,
      .tie_breaker = controlling ? controlling->v.controlling : controlled ? controlled->v.controlled : 0,
  };
  const uint8_t *password = (const uint8_t *)peer->password;
  size_t length = strlen(peer->password), room = cdc_room(leg, true);
  switch (peer->callbacks.check_received(peer->context, &request)) {
  case CDC_ACCEPT:
    stun_reply(IPPROTO_UDP, leg->socket, from, room, message, password, length, true, 1, STUN_ATTR_XOR_MAPPED_ADDR,
               from);
    break;
  case CDC_ROLE_CONFLICT:
    stun_ereply(IPPROTO_UDP, leg->socket, from, room, message, 487, "Role Conflict", password, length, true, 0);
    break;
  case CDC_IGNORE: break;
  }
}

bool cdc_checks_received(struct sa *from, struct mbuf *mb, void *argument) {
  cdc_leg *leg = argument;
  cdc_peer *peer = leg->peer;
  // What comes to a relay's socket past the relay has no header before it.
  if (leg->is_relay && mb->pos == 0) return true;
  if (!cdc_is_sound_stun(mbuf_buf(mb), mbuf_get_left(mb))) return false;
  if (peer->has_ended) return true;
  struct stun_msg *message;
  struct stun_unknown_attr unknown;
  if (stun_msg_decode(&message, mb, &unknown)) return true;
  if (stun_msg_method(message) == STUN_METHOD_BINDING && !stun_msg_chk_fingerprint(message)) {
    switch (stun_msg_class(message)) {
    case STUN_CLASS_REQUEST:
      if (is_ours(peer, message)) answer(leg, from, message);
      break;
    case STUN_CLASS_INDICATION: break;
    default:
      peer->answer_from = *from;
      peer->answer_leg = leg->number;
      stun_ctrans_recv(peer->stun, message, &unknown);
    }
  }
  mem_deref(message);
  return true;
}
#endif
