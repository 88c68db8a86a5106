import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto

/// One entry of a database, with feeds named by their keys.
struct Entry: Decodable, Hashable, Sendable {
  let key: String
  let value: String?
  let deleted: Bool
  let feed: String
  let seq: UInt64
  var clock: [String: UInt64]

  /// The entry without what its clock says of feeds whose header alone its writer had: replicas know of
  /// such feeds earlier or later.
  var withoutHeaders: Entry {
    var entry = self
    entry.clock = clock.filter { $0.value > 1 }
    return entry
  }

  /// Whether this entry's writer knew `other`.
  func covers(_ other: Entry) -> Bool {
    self != other && clock[other.feed, default: 0] > other.seq
  }
}

/// One replica of a database, opened by Node or by Swift.
protocol DatabaseEnd: Sendable {
  func open(folder: String, key: String?) async throws -> (key: String, local: String)
  func put(_ key: String, _ value: String) async throws
  func delete(_ key: String) async throws
  func batch(_ changes: [(key: String, value: String)]) async throws
  func authorize(_ key: String) async throws
  func listen() async throws -> Int
  func connect(_ port: Int) async throws
  func disconnect() async throws
  /// The lengths of the authorized feeds; -1 for one of which something is missing.
  func feeds() async throws -> [String: Int]
  /// Every key's entries; none that another of the key covers.
  func list() async throws -> Set<Entry>
  func close() async throws
}

struct NodeDatabase: DatabaseEnd {
  let peer: NodePeer

  init(_ place: NodePeer.Place) async throws {
    peer = try await NodePeer("database-peer.js", place)
  }

  func open(folder: String, key: String?) async throws -> (key: String, local: String) {
    let reply = try await peer.call(.init("open") { ($0.folder, $0.key) = (folder, key) })
    return (reply.key ?? "", reply.local ?? "")
  }

  func put(_ key: String, _ value: String) async throws {
    try await peer.call(.init("put") { ($0.key, $0.value) = (key, value) })
  }

  func delete(_ key: String) async throws {
    try await peer.call(.init("delete") { $0.key = key })
  }

  func batch(_ changes: [(key: String, value: String)]) async throws {
    try await peer.call(
      .init("batch") { $0.changes = changes.map { .init(key: $0.key, value: $0.value) } })
  }

  func authorize(_ key: String) async throws {
    try await peer.call(.init("authorize") { $0.key = key })
  }

  func listen() async throws -> Int { try await peer.call("listen").port ?? 0 }

  func connect(_ port: Int) async throws {
    try await peer.call(.init("connect") { $0.port = port })
  }

  func disconnect() async throws { try await peer.call("disconnect") }

  func feeds() async throws -> [String: Int] { try await peer.call("feeds").feeds ?? [:] }

  func list() async throws -> Set<Entry> {
    // The reference may give values that were overwritten long ago beside the current ones.
    let groups = try await peer.call("list").groups ?? []
    return Set(
      groups.flatMap { group in
        let current = group.filter { entry in !group.contains { $0.covers(entry) } }
        return current.allSatisfy(\.deleted) ? [] : current.map(\.withoutHeaders)
      })
  }

  func close() async throws {
    try await peer.call("close")
    await peer.stop()
  }
}

actor SwiftDatabase: DatabaseEnd {
  private var opened: HyperDB?
  private var connections: SwiftConnections?

  private func db() throws -> HyperDB {
    guard let opened else { throw Failure("the database is not open") }
    return opened
  }

  private func links() throws -> SwiftConnections {
    guard let connections else { throw Failure("the database is not open") }
    return connections
  }

  func open(folder: String, key: String?) async throws -> (key: String, local: String) {
    let db = try await HyperDB.open(folder: folder, key: key.flatMap { PublicKey(hex: $0) })
    opened = db
    connections = SwiftConnections { try await db.replicate(.live) }
    return (db.key.hex, db.localKey.hex)
  }

  func put(_ key: String, _ value: String) async throws {
    _ = try await db().put(key, value, as: .json())
  }

  func delete(_ key: String) async throws { _ = try await db().delete(key) }

  func batch(_ changes: [(key: String, value: String)]) async throws {
    _ = try await db().batch(try changes.map { try .put($0.key, $0.value, as: .json()) })
  }

  func authorize(_ key: String) async throws {
    guard let key = PublicKey(hex: key) else { throw Failure("\(key) is no key") }
    try await db().authorize(key)
  }

  func listen() async throws -> Int { try await links().listen() }

  func connect(_ port: Int) async throws { try await links().connect(port) }

  func disconnect() async throws { await connections?.disconnect() }

  func feeds() async throws -> [String: Int] {
    let feeds = await (try db()).feeds.filter(\.isAuthorized)
    return Dictionary(
      uniqueKeysWithValues: feeds.map {
        ($0.key.hex, $0.storedLength == $0.length ? Int($0.length) : -1)
      })
  }

  func list() async throws -> Set<Entry> {
    var entries: Set<Entry> = []
    for try await nodes in try db().list() {
      for node in nodes {
        let value = try node.value.map { try JSONDecoder().decode(String.self, from: Data($0)) }
        let clock = node.clock.filter { $0.value > 1 }.map { ($0.key.hex, $0.value) }
        entries.insert(
          Entry(
            key: node.key, value: value, deleted: node.isDeleted, feed: node.feed.hex,
            seq: node.seq, clock: Dictionary(uniqueKeysWithValues: clock)))
      }
    }
    return entries
  }

  func close() async throws {
    await connections?.stop()
    try await db().close()
  }
}
