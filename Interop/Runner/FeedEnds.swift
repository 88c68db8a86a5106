import Foundation
import Hypercore
import HypercoreCrypto

/// What a feed holds, as either side tells it.
struct FeedContents: Equatable, Sendable {
  struct Root: Codable, Equatable, Sendable {
    let index: UInt64
    let hash: String
    let size: UInt64
  }

  var key: String
  var length: Int
  var byteLength: Int
  var roots: [Root]
  /// nil for what is not stored.
  var blocks: [Data?]

  var stored: Int { blocks.count { $0 != nil } }
}

/// One feed, opened by Node or by Swift.
protocol FeedEnd: Sendable {
  func open(folder: String, key: String?, live: Bool) async throws -> (key: String, writable: Bool)
  func append(_ blocks: [Data]) async throws
  func listen() async throws -> Int
  func connect(_ port: Int) async throws
  /// Until the feed is so long and so many of its blocks are stored.
  func wait(length: Int, count: Int) async throws
  func contents() async throws -> FeedContents
  /// How many stored blocks hash as the tree says, and how many don't.
  func audit() async throws -> (valid: Int, invalid: Int)
  func close() async throws
}

struct NodeFeed: FeedEnd {
  let peer: NodePeer

  init(_ place: NodePeer.Place) async throws { peer = try await NodePeer("feed-peer.js", place) }

  func open(folder: String, key: String?, live: Bool) async throws -> (key: String, writable: Bool)
  {
    let reply = try await peer.call(
      .init("open") { ($0.folder, $0.key, $0.live) = (folder, key, live) })
    return (reply.key ?? "", reply.writable ?? false)
  }

  func append(_ blocks: [Data]) async throws {
    try await peer.call(.init("append") { $0.blocks = blocks })
  }

  func listen() async throws -> Int { try await peer.call("listen").port ?? 0 }

  func connect(_ port: Int) async throws {
    try await peer.call(.init("connect") { $0.port = port })
  }

  func wait(length: Int, count: Int) async throws {
    try await peer.call(.init("waitFor") { ($0.length, $0.count) = (length, count) })
  }

  func contents() async throws -> FeedContents {
    let reply = try await peer.call("dump")
    return FeedContents(
      key: reply.key ?? "", length: reply.length ?? -1, byteLength: reply.byteLength ?? -1,
      roots: reply.roots ?? [], blocks: reply.blocks ?? [])
  }

  func audit() async throws -> (valid: Int, invalid: Int) {
    let reply = try await peer.call("audit")
    return (reply.valid ?? -1, reply.invalid ?? -1)
  }

  func close() async throws {
    try await peer.call("close")
    await peer.stop()
  }
}

actor SwiftFeed: FeedEnd {
  private var isLive = true
  private var opened: Feed?
  private var connections: SwiftConnections?

  private func feed() throws -> Feed {
    guard let opened else { throw Failure("the feed is not open") }
    return opened
  }

  private func links() throws -> SwiftConnections {
    guard let connections else { throw Failure("the feed is not open") }
    return connections
  }

  func open(folder: String, key: String?, live: Bool) async throws -> (key: String, writable: Bool)
  {
    var options = Feed.Options()
    options.key = key.flatMap { PublicKey(hex: $0) }
    let feed = try await Feed.open(folder: folder, options: options)
    var replication = ReplicationOptions()
    replication.live = live
    connections = SwiftConnections { [replication] in try await feed.replicate(replication) }
    opened = feed
    return (feed.key?.hex ?? "", await feed.isWritable)
  }

  func append(_ blocks: [Data]) async throws {
    try await feed().append(blocks.map { Array($0) })
  }

  func listen() async throws -> Int { try await links().listen() }

  func connect(_ port: Int) async throws { try await links().connect(port) }

  func wait(length: Int, count: Int) async throws {
    let feed = try feed()
    try await eventually("\(count) blocks of a feed of \(length)") {
      let (here, total) = (await feed.downloaded(), await feed.length)
      return total >= UInt64(length) && here >= UInt64(count)
    }
  }

  func contents() async throws -> FeedContents {
    let feed = try feed()
    let length = await feed.length
    var blocks: [Data?] = []
    for index in 0..<length {
      blocks.append(
        await feed.has(index) ? Data(try await feed.get(index, options: .init(wait: false))) : nil)
    }
    let roots = try await feed.rootHashes().map {
      FeedContents.Root(index: $0.index, hash: $0.hash.hex, size: $0.size)
    }
    return FeedContents(
      key: feed.key?.hex ?? "", length: Int(length), byteLength: Int(await feed.byteLength),
      roots: roots, blocks: blocks)
  }

  func audit() async throws -> (valid: Int, invalid: Int) {
    let report = try await feed().audit()
    return (Int(report.valid), Int(report.invalid))
  }

  func close() async throws {
    await connections?.stop()
    try await feed().close()
  }
}
