internal import DatSwarm
internal import Hypercore
internal import HypercoreCrypto

/// Connections on which nothing happens but keep-alives, one each way every five seconds.
enum IdleRows {
  static let all: [Row] = [
    Row("idle.connections", unit: "%") { settings in
      try await hold(1000, for: settings.isQuick ? .seconds(10) : .seconds(20))
    }
  ]

  /// The part of one processor that a thousand connections take on the side that dialled them.
  private static func hold(_ count: Int, for duration: Duration) async throws -> Double {
    let server = try Child(["peer", "serve-idle", "\(count)"])
    defer { server.end() }
    let told = try server.expect("port")
    let holder = try Child([
      "peer", "hold-idle", told["key"] as? String ?? "", "\(told["port"] ?? 0)", "\(count)",
      "\(duration.seconds)",
    ])
    defer { holder.end() }
    let result = try holder.expect("worked")
    return (result["worked"] as? Double ?? .nan) / duration.seconds * 100 * 1000 / Double(count)
  }

  /// The other end: a feed without blocks.
  static func serve(_ rest: [String]) async throws {
    guard let count = rest.first.flatMap({ Int($0) }) else { throw BenchFailure("serve-idle count") }
    let feed = try await Feed.inMemory()
    var options = TCPListener.Options()
    options.maximumInbound = count
    let listener = try await TCPListener(host: "127.0.0.1", options: options)
    let serving = Task { await listener.run { await ReplicationRows.serve($0, feed) } }
    say(["port": listener.address.port, "key": feed.key?.hex ?? ""])
    await untilInputEnds()
    serving.cancel()
  }

  /// The end that is measured, from when all connections have been idle for a while.
  static func hold(_ rest: [String]) async throws {
    guard rest.count == 4, let key = PublicKey(hex: rest[0]), let port = Int(rest[1]),
      let count = Int(rest[2]), let time = Double(rest[3])
    else { throw BenchFailure("hold-idle key port count seconds") }
    let feed = try await Feed.inMemory(options: Feed.Options(key: key))
    let address = PeerAddress(host: "127.0.0.1", port: port)
    var pumping: [Task<Void, Never>] = []
    for _ in 0..<count {
      let socket = try await TCPDialer.connect(to: address)
      let stream = try await feed.replicate(.live)
      pumping.append(Task { try? await socket.pump(stream) })
      guard await stream.handshake() != nil else { throw BenchFailure("no handshake") }
    }
    try await Task.sleep(for: .seconds(5))
    let before = Memory.processorSeconds
    try await Task.sleep(for: .seconds(time))
    say(["worked": Memory.processorSeconds - before])
    for task in pumping { task.cancel() }
    await untilInputEnds()
  }
}
