import DatTesting
import Foundation
import HyperDB
import HypercoreCrypto
import Testing

/// One replica of `hyperdbs/manifest.json`.
struct RecordedDatabase: Decodable, Sendable, CustomTestStringConvertible {
  struct Feed: Decodable {
    var key: String
    var length: Int
    var writable: Bool
  }

  struct Node: Decodable {
    var key: String
    var value: JSONValue
    var deleted: Bool
    var feed: Int
    var seq: Int
    var clock: [UInt64]
    var inflate: Int
    var location: FeedSequence { FeedSequence(feed: feed, seq: seq) }
  }

  struct Pointer: Decodable, Hashable {
    var feed: Int
    var seq: Int
  }

  struct Bucket: Decodable {
    struct Value: Decodable {
      var value: Int
      var pointers: [Pointer]
    }
    var index: Int
    var buckets: [Value]
  }

  struct Entry: Decodable {
    var key: String
    var value: JSONValue
    var deleted: Bool
    var feed: Int
    var seq: Int
    var clock: [UInt64]
    var inflate: Int
    var raw: String
    var trie: [Bucket]
  }

  /// `[key, feed, seq]`.
  struct Place: Decodable, Hashable {
    var key: String
    var feed: Int
    var seq: Int
    var location: FeedSequence { FeedSequence(feed: feed, seq: seq) }

    init(from decoder: any Decoder) throws {
      var container = try decoder.unkeyedContainer()
      key = try container.decode(String.self)
      feed = try container.decode(Int.self)
      seq = try container.decode(Int.self)
    }
  }

  struct List: Decodable {
    struct Options: Decodable {
      var recursive: Bool?
      var reverse: Bool?
      var gt: Bool?
      var deletes: Bool?
    }
    var prefix: String
    var options: Options
    var nodes: [[Place]]
  }

  struct Difference: Decodable {
    var left: [Place]?
    var right: [Place]?
  }

  struct Checkout: Decodable {
    var version: String
    var list: [[Place]]
    var diff: [Difference]
  }

  var replica: String
  var dir: String
  var key: String
  var local: String
  var feeds: [Feed]
  var valueEncoding: String
  var heads: [Node]
  var version: String
  var get: [String: [Node]]
  var getPrefix: [String: [Node]]
  var list: [List]
  var history: [Place]
  var historyReverse: [Place]
  var keyHistory: [String: [[Place]]]
  var entries: [Entry]
  var checkouts: [Checkout]
  var diffEmpty: [Difference]
  var contentKey: String?

  var testDescription: String { dir }

  static let all: [RecordedDatabase] = {
    do { return try Fixtures.json("hyperdbs/manifest.json") } catch {
      fatalError("The manifest of the recorded databases can't be read: \(error)")
    }
  }()

  /// Returns the replica's feeds as they are on disk, by key.
  func logs() throws -> [PublicKey: MemoryLog] {
    var folders = ["source", "local"]
    let peers = Fixtures.url(dir).appendingPathComponent("peers")
    if let names = try? FileManager.default.contentsOfDirectory(atPath: peers.path) {
      folders += names.map { "peers/\($0)" }
    }
    var logs: [PublicKey: MemoryLog] = [:]
    for folder in folders where Fixtures.exists("\(dir)/\(folder)/key") {
      let log = try MemoryLog(recorded: "\(dir)/\(folder)")
      logs[log.key] = log
    }
    return logs
  }

  /// Returns the replica as a database whose feeds have the recorded numbers.
  func open(hash: PathHash = .standard) throws -> DatabaseCore {
    let logs = try logs()
    var options = DatabaseCore.Options()
    options.hash = hash
    options.feedOrder = feeds.map { PublicKey(hex: $0.key)! }
    options.contentKey = contentKey.map { [UInt8](hex: $0) }
    let source = try #require(logs[PublicKey(hex: key)!])
    let core = try DatabaseCore(
      source: source, local: logs[PublicKey(hex: local)!], options: options
    ) { key in logs[key] ?? MemoryLog(key: key, isWritable: false) }
    try #require(core.feedKeys.map(\.hex) == feeds.map(\.key))
    return core
  }
}

extension MemoryLog {
  /// Takes the blocks that the files of a feed hold: `data` cut by the leaf sizes in `tree`.
  convenience init(recorded folder: String) throws {
    let key = try #require(PublicKey(bytes: Fixtures.bytes("\(folder)/key")))
    let tree = try Fixtures.bytes("\(folder)/tree")
    let data = Fixtures.exists("\(folder)/data") ? try Fixtures.bytes("\(folder)/data") : []
    var blocks: [[UInt8]?] = []
    var offset = 0
    for slot in stride(from: 32, to: tree.count - 39, by: 80) {
      let leaf = tree[slot..<(slot + 40)]
      if leaf.allSatisfy({ $0 == 0 }) { break }
      let size = leaf.suffix(8).reduce(0) { $0 << 8 | Int($1) }
      try #require(offset + size <= data.count)
      blocks.append(Array(data[offset..<(offset + size)]))
      offset += size
    }
    self.init(
      key: key, isWritable: Fixtures.exists("\(folder)/secret_key"), blocks: blocks)
  }
}

extension DatabaseCore {
  /// Returns all groups of a list.
  func groups(
    _ prefix: String, _ options: ListOptions, in snapshot: Snapshot
  ) throws -> [[EntryNode]] {
    let listing = list(Array(prefix.utf8), options, in: snapshot)
    var groups: [[EntryNode]] = []
    while let group = try listing.next() { groups.append(group) }
    return groups
  }

  func differences(
    _ left: Snapshot, _ right: Snapshot, prefix: String = "",
    _ options: ListOptions = ListOptions()
  ) throws -> [Difference] {
    let diff = diff(left, right, prefix: Array(prefix.utf8), options)
    var all: [Difference] = []
    while let next = try diff.next() { all.append(next) }
    return all
  }

  func entries(reverse: Bool = false, raw: Bool = false, in snapshot: Snapshot) throws
    -> [EntryNode]
  {
    let history = history(reverse: reverse, raw: raw, in: snapshot)
    var all: [EntryNode] = []
    while let node = try history.next() { all.append(node) }
    return all
  }

  func keyGroups(_ key: String, raw: Bool = false, in snapshot: Snapshot) throws -> [[EntryNode]] {
    let history = keyHistory(Array(key.utf8), raw: raw, in: snapshot)
    var all: [[EntryNode]] = []
    while let group = try history.next() { all.append(group) }
    return all
  }
}

extension [EntryNode] {
  var locations: Set<FeedSequence> { Set(map(\.location)) }
}
