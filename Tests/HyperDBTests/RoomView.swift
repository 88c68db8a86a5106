import DatTesting
import HyperDB
import HypercoreCrypto

/// Everything that one member of a ``SimulatedRoom`` shows: keys, entries, and the bytes of its feeds.
struct RoomView {
  private struct Place: Hashable {
    let feed: PublicKey
    let seq: UInt64

    init(_ node: DatabaseNode) {
      feed = node.feed
      seq = node.seq
    }
  }

  private var keys: [[UInt8]: Set<Place>] = [:]
  /// The messages of a chat: for each key and feed, the last value of that feed.
  private var messages: [Message: [UInt8]?] = [:]
  private struct Message: Hashable {
    let key: [UInt8]
    let feed: PublicKey
  }
  /// Keys that depend on which of the two histories of a feed is read.
  private var doubtful: Set<[UInt8]> = []
  /// True if this replica believes others' claims: then it may have lost sight of keys.
  private let isCredulous: Bool
  private var entries: Set<Place> = []
  private var issues: Set<String> = []
  /// By feed, the files that hold its blocks and the hashes over them.
  private var files: [PublicKey: [[UInt8]]] = [:]
  /// The fault of this view by itself.
  private(set) var problem: String?

  /// - Parameters:
  ///   - hostile: a writer that may hide its own entries.
  ///   - hasForked: true if it has signed two histories, of which each replica has one.
  init(of member: RoomMember, hostile: PublicKey? = nil, hasForked: Bool = false) async throws {
    let db = member.db
    isCredulous = member.options.writesAsReference
    for try await nodes in db.list(options: ListingOptions(deletes: true)) {
      keys[nodes[0].keyBytes] = Set(nodes.map(Place.init))
    }
    let history = try await db.history().collect()
    entries = Set(history.filter { !hasForked || $0.feed != hostile }.map(Place.init))
    if !hasForked { issues = Set(await db.issues.map(\.reason)) }
    if hasForked { doubtful = Set(history.filter { $0.feed == hostile }.map(\.keyBytes)) }
    for node in history where !node.keyBytes.isEmpty && (!hasForked || node.feed != hostile) {
      messages[Message(key: node.keyBytes, feed: node.feed)] = node.isDeleted ? nil : node.value
    }
    let stored = try member.disk.files()
    // A feed without an entry that was listed among made-up keys is found by chance.
    for feed in await db.feeds
    where feed.isAuthorized && feed.length > 1 && !(hasForked && feed.key == hostile) {
      let folder =
        feed.key == db.key
        ? "source" : feed.isLocal ? "local" : "peers/\(feed.key.discoveryKey.hex)"
      files[feed.key] = ["data", "tree"].map { stored["\(folder)/\($0)"] ?? [] }
      if feed.storedLength != feed.length {
        problem = "feed \(feed.key.hex.prefix(8)) has \(feed.storedLength) of \(feed.length) blocks"
      }
    }
    // A key shows the entries that no later one of the same key knew, of all that were ever written.
    if isCredulous { return }
    var byKey: [[UInt8]: [DatabaseNode]] = [:]
    for node in history { byKey[node.keyBytes, default: []].append(node) }
    for (key, all) in byKey where !key.isEmpty && !all.contains(where: { $0.feed == hostile }) {
      let current = all.filter { node in !all.contains { $0 != node && $0.covers(node) } }
      let expected = Set(current.map(Place.init))
      if keys[key] ?? [] != expected {
        problem = "the list has other entries of \(String(decoding: key.prefix(60), as: UTF8.self))"
      }
      let found = Set(try await db.get(key, options: .init(deletes: true)).map(Place.init))
      if found != expected {
        problem = "a get finds other entries of \(String(decoding: key.prefix(60), as: UTF8.self))"
      }
    }
  }

  /// Returns the first difference from another view.
  func difference(from other: RoomView) -> String? {
    if entries != other.entries { return "their histories" }
    if messages != other.messages { return "the messages that they show" }
    let shown = isCredulous || other.isCredulous ? [] : Set(keys.keys).union(other.keys.keys)
    if let key = shown.subtracting(doubtful).subtracting(other.doubtful)
      .first(where: { keys[$0] != other.keys[$0] })
    {
      return "the key \(String(decoding: key.prefix(60), as: UTF8.self))"
    }
    if issues != other.issues { return "what they can't read" }
    for feed in Set(files.keys).union(other.files.keys) where files[feed] != other.files[feed] {
      let counts = [files[feed], other.files[feed]].map { $0?.map(\.count).description ?? "none" }
      return "the bytes of feed \(feed.hex.prefix(8)): \(counts.joined(separator: " and "))"
    }
    return nil
  }
}
