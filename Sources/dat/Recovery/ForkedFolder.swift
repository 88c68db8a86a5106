internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// A folder whose own feed has two histories, with what its history has and the other lacks.
struct ForkedFolder {
  /// The kind of data in the folder.
  enum Kind: String {
    case feed, database, room
  }

  /// Something that only this history has.
  struct Item {
    /// The treatment of an item.
    enum Fate {
      /// A message or an operation, written again under a new id with its name and time.
      case message(MessageContent, RoomKind)
      /// A key of a database, with its last value here.
      case entry(isDeleted: Bool, [UInt8]?)
      /// It can't be carried over, for this reason.
      case left(String)
    }

    var key: [UInt8]
    var seq: UInt64
    var fate: Fate
  }

  let path: String
  let kind: Kind
  /// The forked feed.
  let key: PublicKey
  /// The prefix of its files in the folder: empty for a feed alone.
  let prefix: String
  let evidence: ForkEvidence
  let length: UInt64
  /// The items of this history after ``ForkEvidence/commonLength``, in its order.
  let items: [Item]
  /// The database; nil for a feed alone.
  let database: PublicKey?
  /// Other writers of the database of which something is here.
  let otherWriters: [PublicKey]

  /// True if the feed is its database's first, so that only another writer can authorize a new one.
  var isSource: Bool { prefix == "source/" }
  var common: UInt64 { min(evidence.commonLength, length) }

  /// Reads a folder without changing it.
  static func read(_ path: String) async throws -> ForkedFolder {
    let storage = FolderStorage(path: path, access: .readOnly)
    guard try storage.exists("source/key") else { return try readFeed(path, storage) }
    let isLocal = try storage.exists("local/secret_key")
    let prefix = isLocal ? "local/" : "source/"
    let (key, evidence, length) = try look(at: prefix, in: storage, path)
    var options = HyperDB.Options()
    options.update = false
    let db = try await HyperDB.open(storage, options: options)
    do {
      let (items, isRoom) = try await items(of: key, from: evidence.commonLength, in: db)
      let writers = await db.feeds
      await db.close()
      let others = writers.filter { $0.isAuthorized && $0.length > 0 && $0.key != key }
      return ForkedFolder(
        path: path, kind: isRoom ? .room : .database, key: key, prefix: prefix, evidence: evidence,
        length: length, items: items, database: db.key, otherWriters: others.map(\.key))
    } catch {
      await db.close()
      throw error
    }
  }

  private static func readFeed(
    _ path: String, _ storage: FolderStorage
  ) throws -> ForkedFolder {
    guard try storage.exists("key") || storage.exists("secret_key") else {
      throw FeedError(
        code: .noFeedStored,
        reason: "Neither a feed nor a database is stored in \(SafeText.line(path)).")
    }
    let (key, evidence, length) = try look(at: "", in: storage, path)
    return ForkedFolder(
      path: path, kind: .feed, key: key, prefix: "", evidence: evidence, length: length, items: [],
      database: nil, otherWriters: [])
  }

  /// Returns the feed that is written in the folder, and the proof that it is forked.
  private static func look(
    at prefix: String, in storage: FolderStorage, _ path: String
  ) throws -> (PublicKey, ForkEvidence, UInt64) {
    let core = try FeedCore.open(
      in: storage, prefix: prefix, options: FeedOptions(createIfMissing: false))
    defer { try? core.close() }
    guard core.isOwned, let key = core.key else {
      throw FeedError(
        code: .notWritable,
        reason:
          "Nothing is written in \(SafeText.line(path)): recover the folder that has the secret key."
      )
    }
    guard let evidence = core.forkEvidence else {
      throw FeedError(
        code: .noFeedStored,
        reason:
          "The feed \(key) that is written in \(SafeText.line(path)) has one history, as far as is "
          + "known here: nothing has to be recovered.")
    }
    return (key, evidence, core.length)
  }

  // MARK: Items that the other history lacks

  private static func items(
    of feed: PublicKey, from start: UInt64, in db: HyperDB
  ) async throws -> (items: [Item], isRoom: Bool) {
    let found = Found(start)
    await db.forEachEntry(of: feed, valuesFrom: start) { found.add($0) }
    return found.result
  }

  /// The items found in the entries of the feed, one after the other.
  ///
  /// Unchecked, with this proof: the database calls ``add(_:)`` on its executor, one call after the other, and
  /// ``result`` is read after it has returned.
  private final class Found: @unchecked Sendable {
    private let start: UInt64
    private var old: Set<[UInt8]> = []
    private var newest: [[UInt8]: Int] = [:]
    private var items: [Item?] = []
    private var isRoom = false

    init(_ start: UInt64) { self.start = start }

    var result: (items: [Item], isRoom: Bool) { (items.compactMap { $0 }, isRoom) }

    func add(_ node: DatabaseNode) {
      let key = node.keyBytes
      let kind = CarriedMessages.kind(ofKey: key)
      if kind != nil { isRoom = true }
      guard !key.isEmpty else { return }
      guard node.seq >= start else {
        old.insert(key)
        return
      }
      if let index = newest[key] { items[index] = nil }
      newest[key] = items.count
      // What was written and deleted since concerns nobody else.
      let isGone = kind != nil && node.isDeleted && !old.contains(key)
      items.append(isGone ? nil : Item(key: key, seq: node.seq, fate: fate(of: node, kind)))
    }

    private func fate(of node: DatabaseNode, _ kind: RoomKind?) -> Item.Fate {
      guard let kind else { return .entry(isDeleted: node.isDeleted, node.value) }
      if node.isDeleted { return .left("only the old key can delete it") }
      guard let content = node.value.flatMap({ CarriedMessages.content($0, kind) }) else {
        return .left("it is not a message")
      }
      return .message(content, kind)
    }
  }
}
