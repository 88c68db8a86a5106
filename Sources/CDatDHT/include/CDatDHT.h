/// A node of the BitTorrent mainline DHT, as much of libtorrent as Dat needs: who announced an id,
/// announce oneself under it, and ask the router for a port. No torrent is ever loaded.
///
/// Built without the package trait `DHT`, nothing of this is defined.
#ifndef CDATDHT_H
#define CDATDHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A running node. Every function may be called from any thread.
typedef struct dat_dht dat_dht;

typedef struct {
  /// Where to listen for UDP, `address:port`; port 0 for any.
  const char *listen;
  /// Where to join the network: `host:port`, separated by commas; empty for nowhere.
  const char *bootstrap;
  /// Whether routers are asked for ports, by UPnP and NAT-PMP.
  bool maps_ports;
  /// Whether all nodes may be on one machine: drops the rules that spread a routing table over
  /// addresses, and the limit of packets from one address.
  bool is_test_network;
  /// What `dat_dht_state` gave at another time; may be NULL.
  const uint8_t *state;
  size_t state_length;
  /// Called from a thread of the node's when `dat_dht_next_event` has something, with nothing more
  /// to do in it than to tell somebody; never after `dat_dht_close` has returned.
  void (*notify)(void *context);
  void *context;
} dat_dht_options;

typedef enum {
  DAT_DHT_NONE = 0,
  /// Somebody announced `info_hash` from `address` and `port`.
  DAT_DHT_PEER,
  /// A router forwards its `port` to the port that was asked for.
  DAT_DHT_MAPPED,
  /// What went wrong, in `text`: a port that could not be opened or mapped.
  DAT_DHT_PROBLEM,
} dat_dht_event_kind;

typedef struct {
  dat_dht_event_kind kind;
  uint8_t info_hash[20];
  /// IPv4, in network order.
  uint8_t address[4];
  uint16_t port;
  char text[256];
} dat_dht_event;

/// Starts a node. State that can't be read is left aside.
///
/// Returns NULL and a sentence in `error` where that is not possible.
dat_dht *dat_dht_open(const dat_dht_options *options, char *error, size_t error_capacity);

/// Stops the node and frees it; waits for its threads.
void dat_dht_close(dat_dht *node);

/// The UDP port; 0 while it is not open.
uint16_t dat_dht_port(dat_dht *node);

/// Makes another node known, by its IPv4 address in numbers.
void dat_dht_add_node(dat_dht *node, const char *address, uint16_t port);

/// Asks the network who announced `info_hash`; answers arrive as `DAT_DHT_PEER`.
void dat_dht_get_peers(dat_dht *node, const uint8_t *info_hash);

/// Tells the network that this machine has `info_hash`, at the TCP port `port`, which must not be 0.
void dat_dht_announce(dat_dht *node, const uint8_t *info_hash, uint16_t port);

/// Asks routers to forward a TCP port here; the answer arrives as `DAT_DHT_MAPPED`.
void dat_dht_map_port(dat_dht *node, uint16_t port);

/// How many nodes the routing table has.
size_t dat_dht_node_count(dat_dht *node);

/// Takes the next event. Returns whether there was one.
bool dat_dht_next_event(dat_dht *node, dat_dht_event *event);

/// Gives the routing table in bytes to keep: `*length` many, to be freed with `dat_dht_free`; NULL on
/// failure.
uint8_t *dat_dht_state(dat_dht *node, size_t *length);

void dat_dht_free(uint8_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
