#if DHT
  internal import CDatDHT
  internal import DatSwarm
  internal import Foundation

  /// A node of the mainline DHT, over its C header.
  ///
  /// `@unchecked Sendable`: the C functions may be called from any thread, the pointer never changes,
  /// and it is freed in `deinit`, when no call is possible any more.
  final class DHTNode: @unchecked Sendable {
    enum Event {
      case peer(topic: Topic, address: PeerAddress)
      /// A router forwards this port of its own.
      case mapped(port: Int)
      case problem(String)
    }

    /// Signals that ``nextEvent()`` has something. Buffers one.
    let wakeups: AsyncStream<Void>
    private let node: OpaquePointer
    private let notifier: Unmanaged<Notifier>

    private final class Notifier: Sendable {
      let continuation: AsyncStream<Void>.Continuation
      init(_ continuation: AsyncStream<Void>.Continuation) { self.continuation = continuation }
    }

    init(_ options: MainlineDHT.Options, state: [UInt8]) throws(SwarmError) {
      let (wakeups, continuation) = AsyncStream.makeStream(
        of: Void.self, bufferingPolicy: .bufferingNewest(1))
      self.wakeups = wakeups
      let notifier = Unmanaged.passRetained(Notifier(continuation))
      let listen = "\(PeerAddress(host: options.host, port: options.port))"
      let bootstrap = options.bootstrap.map(\.description).joined(separator: ",")
      var error = [CChar](repeating: 0, count: 256)
      let node = listen.withCString { listen in
        bootstrap.withCString { bootstrap in
          state.withUnsafeBufferPointer { state in
            var c = dat_dht_options()
            c.listen = listen
            c.bootstrap = bootstrap
            c.maps_ports = options.mapsPorts
            c.is_test_network = options.isTestNetwork
            c.state = state.baseAddress
            c.state_length = state.count
            c.notify = { context in
              guard let context else { return }
              Unmanaged<Notifier>.fromOpaque(context).takeUnretainedValue().continuation.yield()
            }
            c.context = notifier.toOpaque()
            return dat_dht_open(&c, &error, error.count)
          }
        }
      }
      guard let node else {
        notifier.release()
        let reason = String(
          decoding: error.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        throw SwarmError(.failed, "The DHT could not be started: \(reason).")
      }
      self.node = node
      self.notifier = notifier
    }

    /// Waits for the node's threads, so release the last reference on a thread that may wait for a while.
    deinit {
      dat_dht_close(node)
      notifier.takeUnretainedValue().continuation.finish()
      notifier.release()
    }

    var port: Int { Int(dat_dht_port(node)) }
    var nodeCount: Int { dat_dht_node_count(node) }

    func add(_ address: PeerAddress) {
      guard let port = UInt16(exactly: address.port), port > 0 else { return }
      address.host.withCString { dat_dht_add_node(node, $0, port) }
    }

    func getPeers(_ topic: Topic) {
      topic.withUnsafeBytes {
        dat_dht_get_peers(node, $0.assumingMemoryBound(to: UInt8.self).baseAddress)
      }
    }

    func announce(_ topic: Topic, port: Int) {
      guard let port = UInt16(exactly: port), port > 0 else { return }
      topic.withUnsafeBytes {
        dat_dht_announce(node, $0.assumingMemoryBound(to: UInt8.self).baseAddress, port)
      }
    }

    func map(port: Int) {
      guard let port = UInt16(exactly: port), port > 0 else { return }
      dat_dht_map_port(node, port)
    }

    func nextEvent() -> Event? {
      var event = dat_dht_event()
      while dat_dht_next_event(node, &event) {
        switch event.kind {
        case DAT_DHT_PEER:
          var topic = Topic()
          withUnsafeBytes(of: event.info_hash) { bytes in
            topic.withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
          }
          let (a, b, c, d) = event.address
          return .peer(
            topic: topic, address: PeerAddress(host: "\(a).\(b).\(c).\(d)", port: Int(event.port)))
        case DAT_DHT_MAPPED: return .mapped(port: Int(event.port))
        case DAT_DHT_PROBLEM:
          return .problem(
            withUnsafeBytes(of: event.text) {
              String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            })
        default: continue
        }
      }
      return nil
    }

    /// Returns the routing table, for the next run.
    func state() -> [UInt8] {
      var length = 0
      guard let bytes = dat_dht_state(node, &length) else { return [] }
      defer { dat_dht_free(bytes) }
      return Array(UnsafeBufferPointer(start: bytes, count: length))
    }
  }
#endif
