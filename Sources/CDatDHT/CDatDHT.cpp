#include "CDatDHT.h"

#ifdef DAT_DHT

#if !__has_include(<libtorrent/session.hpp>)
#error "libtorrent-rasterbar is missing. \"make deps\" installs it; \"swift build --disable-default-traits\" does without."
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <libtorrent/alert_types.hpp>
#include <libtorrent/disabled_disk_io.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/sha1_hash.hpp>

namespace lt = libtorrent;

struct dat_dht {
  std::unique_ptr<lt::session> session;
  /// Guards `events` and the taking of alerts, which only one thread may do at a time.
  std::mutex mutex;
  std::deque<dat_dht_event> events;
};

namespace {

/// Events that nobody took are dropped from here on: strangers can make as many as they like.
constexpr std::size_t event_limit = 4096;

/// What is done for C must not throw.
template <typename Body>
void guarded(Body body) noexcept {
  try {
    body();
  } catch (...) {
    // Out of memory, or the session is ending: there is nobody to tell.
  }
}

lt::settings_pack settings(const dat_dht_options &options) {
  lt::settings_pack pack;
  pack.set_str(lt::settings_pack::listen_interfaces, options.listen);
  pack.set_str(lt::settings_pack::dht_bootstrap_nodes, options.bootstrap);
  pack.set_str(lt::settings_pack::user_agent, "");
  pack.set_bool(lt::settings_pack::enable_dht, true);
  pack.set_bool(lt::settings_pack::enable_lsd, false);
  pack.set_bool(lt::settings_pack::enable_upnp, options.maps_ports);
  pack.set_bool(lt::settings_pack::enable_natpmp, options.maps_ports);
  // Only the DHT's own UDP: nobody speaks BitTorrent's peer protocol with this node.
  pack.set_bool(lt::settings_pack::enable_incoming_tcp, false);
  pack.set_bool(lt::settings_pack::enable_outgoing_tcp, false);
  pack.set_bool(lt::settings_pack::enable_incoming_utp, false);
  pack.set_bool(lt::settings_pack::enable_outgoing_utp, false);
  pack.set_int(lt::settings_pack::alert_queue_size, 4096);
  pack.set_int(
      lt::settings_pack::alert_mask,
      static_cast<int>(static_cast<std::uint32_t>(
          lt::alert_category::dht_operation | lt::alert_category::port_mapping |
          lt::alert_category::error)));
  if (options.is_test_network) {
    pack.set_bool(lt::settings_pack::dht_restrict_routing_ips, false);
    pack.set_bool(lt::settings_pack::dht_restrict_search_ips, false);
    pack.set_bool(lt::settings_pack::dht_ignore_dark_internet, false);
    pack.set_bool(lt::settings_pack::dht_enforce_node_id, false);
    pack.set_int(lt::settings_pack::dht_block_ratelimit, 1000000);
  }
  return pack;
}

void add(dat_dht &node, dat_dht_event event) {
  if (node.events.size() < event_limit) node.events.push_back(event);
}

void add_problem(dat_dht &node, const std::string &text) {
  dat_dht_event event{};
  event.kind = DAT_DHT_PROBLEM;
  std::snprintf(event.text, sizeof event.text, "%s", text.c_str());
  add(node, event);
}

void add_peers(dat_dht &node, const lt::dht_get_peers_reply_alert &reply) {
  for (const auto &peer : reply.peers()) {
    if (!peer.address().is_v4() || peer.port() == 0) continue;
    dat_dht_event event{};
    event.kind = DAT_DHT_PEER;
    std::memcpy(event.info_hash, reply.info_hash.data(), sizeof event.info_hash);
    const auto bytes = peer.address().to_v4().to_bytes();
    std::memcpy(event.address, bytes.data(), sizeof event.address);
    event.port = peer.port();
    add(node, event);
  }
}

/// Turns what libtorrent tells into events. The mutex is held.
void take_alerts(dat_dht &node) {
  std::vector<lt::alert *> alerts;
  node.session->pop_alerts(&alerts);
  for (const auto *alert : alerts) {
    if (const auto *reply = lt::alert_cast<lt::dht_get_peers_reply_alert>(alert)) {
      add_peers(node, *reply);
    } else if (const auto *mapped = lt::alert_cast<lt::portmap_alert>(alert)) {
      if (mapped->map_protocol != lt::portmap_protocol::tcp) continue;
      if (mapped->external_port <= 0 || mapped->external_port > 65535) continue;
      dat_dht_event event{};
      event.kind = DAT_DHT_MAPPED;
      event.port = static_cast<uint16_t>(mapped->external_port);
      add(node, event);
    } else if (lt::alert_cast<lt::portmap_error_alert>(alert) ||
               lt::alert_cast<lt::listen_failed_alert>(alert) ||
               lt::alert_cast<lt::dht_error_alert>(alert)) {
      add_problem(node, alert->message());
    }
  }
}

}  // namespace

extern "C" {

dat_dht *dat_dht_open(const dat_dht_options *options, char *error, size_t error_capacity) {
  try {
    lt::session_params params;
    if (options->state != nullptr && options->state_length > 0) {
      try {
        const lt::span<const char> bytes(
            reinterpret_cast<const char *>(options->state),
            static_cast<std::ptrdiff_t>(options->state_length));
        params.dht_state =
            lt::read_session_params(bytes, lt::session_handle::save_dht_state).dht_state;
      } catch (const std::exception &) {
        // The node then joins by its bootstrap nodes, as at the first time.
      }
    }
    // A session only asks them where its sockets are open by then, so they are made known once more.
    const auto known = params.dht_state.nodes;
    params.settings = settings(*options);
    params.extensions.clear();
    params.disk_io_constructor = lt::disabled_disk_io_constructor;
    auto node = std::make_unique<dat_dht>();
    node->session = std::make_unique<lt::session>(std::move(params));
    for (const auto &other : known) {
      node->session->add_dht_node({other.address().to_string(), other.port()});
    }
    if (const auto notify = options->notify) {
      void *const context = options->context;
      node->session->set_alert_notify([notify, context] { notify(context); });
    }
    return node.release();
  } catch (const std::exception &failure) {
    std::snprintf(error, error_capacity, "%s", failure.what());
  } catch (...) {
    std::snprintf(error, error_capacity, "unknown failure");
  }
  return nullptr;
}

void dat_dht_close(dat_dht *node) {
  guarded([&] {
    node->session->set_alert_notify({});
    // Waits for the session's threads, and for routers to take mappings back.
    node->session.reset();
  });
  delete node;
}

uint16_t dat_dht_port(dat_dht *node) {
  uint16_t port = 0;
  guarded([&] { port = node->session->listen_port(); });
  return port;
}

void dat_dht_add_node(dat_dht *node, const char *address, uint16_t port) {
  guarded([&] { node->session->add_dht_node({address, port}); });
}

void dat_dht_get_peers(dat_dht *node, const uint8_t *info_hash) {
  guarded([&] {
    node->session->dht_get_peers(lt::sha1_hash(reinterpret_cast<const char *>(info_hash)));
  });
}

void dat_dht_announce(dat_dht *node, const uint8_t *info_hash, uint16_t port) {
  // With port 0 libtorrent would announce its own.
  if (port == 0) return;
  guarded([&] {
    node->session->dht_announce(lt::sha1_hash(reinterpret_cast<const char *>(info_hash)), port);
  });
}

void dat_dht_map_port(dat_dht *node, uint16_t port) {
  guarded([&] { node->session->add_port_mapping(lt::portmap_protocol::tcp, port, port); });
}

size_t dat_dht_node_count(dat_dht *node) {
  size_t count = 0;
  guarded([&] {
    count = node->session->session_state(lt::session_handle::save_dht_state).dht_state.nodes.size();
  });
  return count;
}

bool dat_dht_next_event(dat_dht *node, dat_dht_event *event) {
  bool found = false;
  guarded([&] {
    const std::lock_guard<std::mutex> lock(node->mutex);
    if (node->events.empty()) take_alerts(*node);
    if (node->events.empty()) return;
    *event = node->events.front();
    node->events.pop_front();
    found = true;
  });
  return found;
}

uint8_t *dat_dht_state(dat_dht *node, size_t *length) {
  uint8_t *copy = nullptr;
  *length = 0;
  guarded([&] {
    const auto flags = lt::session_handle::save_dht_state;
    const auto bytes = lt::write_session_params_buf(node->session->session_state(flags), flags);
    copy = static_cast<uint8_t *>(std::malloc(std::max<std::size_t>(bytes.size(), 1)));
    if (copy == nullptr) return;
    std::memcpy(copy, bytes.data(), bytes.size());
    *length = bytes.size();
  });
  return copy;
}

void dat_dht_free(uint8_t *bytes) { std::free(bytes); }

}  // extern "C"

#endif
