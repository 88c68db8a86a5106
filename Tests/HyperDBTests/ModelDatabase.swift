import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// The expected content of one entry, by the model's own numbers of feeds.
struct ModelEntry {
  var feed: Int
  var seq: Int
  var key: String
  var value: [UInt8]?
  var isDeleted: Bool
  /// By feed, the number of blocks that its writer knew.
  var clock: [Int]

  func covers(_ other: ModelEntry) -> Bool { clock[other.feed] > other.seq }
}

/// Several replicas of one database in one process, and a simple model of the answer that each should give.
///
/// Feed *n* of the model is the one that replica *n* writes; replica 0 owns the source.
struct ModelDatabase {
  struct Replica {
    var logs: [PublicKey: MemoryLog]
    var core: DatabaseCore
    let key: PublicKey
  }

  private(set) var replicas: [Replica] = []
  /// By feed, the entries in order; block *seq* is at *seq* - 1.
  private(set) var entries: [[ModelEntry]] = []
  private let hash: PathHash
  private let keys: [PublicKey]
  private let mergeSteps: Merging.Steps
  /// True if puts may leave out heads: then the model takes clocks from the entries.
  private let leavesOut: Bool
  private var written: UInt8 = 0

  init(writers: Int, hash: PathHash, mergeSteps: Merging.Steps? = nil) throws {
    self.hash = hash
    self.mergeSteps = mergeSteps ?? Merging.Steps()
    leavesOut = mergeSteps != nil
    keys = try (0..<writers).map {
      try #require(PublicKey(bytes: Array(repeating: UInt8($0 + 1), count: 32)))
    }
    entries = Array(repeating: [], count: writers)
    for index in 0..<writers {
      var logs = [keys[0]: MemoryLog(key: keys[0], isWritable: index == 0)]
      logs[keys[index]] = MemoryLog(key: keys[index], isWritable: true)
      let key = keys[index]
      // Opened twice: `open` takes a replica, which needs a core.
      let source = try #require(logs[keys[0]])
      let core = try DatabaseCore(source: source, local: logs[key]) {
        MemoryLog(key: $0, isWritable: false)
      }
      replicas.append(Replica(logs: logs, core: core, key: key))
      try restart(index)
    }
  }

  /// Opens a replica anew from what it has stored.
  mutating func restart(_ index: Int) throws {
    let replica = replicas[index]
    let box = LogBox(replica.logs)
    for feed in replica.core.feedKeys.indices {
      if let log = replica.core.log(of: feed) as? MemoryLog { box.logs[log.key] = log }
    }
    var options = DatabaseCore.Options()
    options.hash = hash
    options.cacheBytes = 8192
    options.mergeSteps = mergeSteps
    replicas[index].logs = box.logs
    replicas[index].core = try DatabaseCore(
      source: try #require(box.logs[keys[0]]), local: box.logs[replica.key], options: options
    ) { key in
      if let log = box.logs[key] { return log }
      let log = MemoryLog(key: key, isWritable: false)
      box.logs[key] = log
      return log
    }
  }

  private final class LogBox {
    var logs: [PublicKey: MemoryLog]
    init(_ logs: [PublicKey: MemoryLog]) { self.logs = logs }
  }

  private func modelFeed(_ core: DatabaseCore, _ feed: Int) -> Int? {
    keys.firstIndex(of: core.feedKeys[feed])
  }

  /// A difference between a replica and the model.
  struct Difference: Error, CustomStringConvertible {
    let description: String
  }

  private func expect(_ isTrue: Bool, _ what: @autoclosure () -> String) throws {
    if !isTrue { throw Difference(description: what()) }
  }

  // MARK: Steps

  /// Writes changes at a replica and predicts their entries.
  mutating func write(_ index: Int, _ changes: [(key: String, isDelete: Bool)]) throws {
    var clock = cut(index)
    let core = replicas[index].core
    var batch: [Change] = []
    for change in changes {
      written &+= 1
      let value: [UInt8]? = change.isDelete ? nil : [written, UInt8(index)]
      batch.append(Change(key: Array(change.key.utf8), value: value, isDelete: change.isDelete))
      let seq = entries[index].count + 1
      clock[index] = seq + 1
      entries[index].append(
        ModelEntry(
          feed: index, seq: seq, key: change.key, value: value, isDeleted: change.isDelete,
          clock: clock))
    }
    let nodes = try core.write(batch)
    try #require(nodes.count == changes.count)
    let start = entries[index].count - nodes.count
    for (offset, node) in nodes.enumerated() {
      let entry = entries[index][start + offset]
      try #require(node.seq == entry.seq)
      if leavesOut {
        entries[index][start + offset].clock = self.clock(of: node, core)
        continue
      }
      for feed in core.feedKeys.indices {
        guard let number = modelFeed(core, feed) else { continue }
        try expect(node.clock(of: feed) == UInt64(entry.clock[number]), "clock of \(node)")
      }
    }
  }

  mutating func authorize(_ index: Int, _ other: Int) throws {
    let clock = cut(index)
    guard let node = try replicas[index].core.authorize(keys[other].bytes) else { return }
    var entry = ModelEntry(
      feed: index, seq: node.seq, key: "", value: nil, isDeleted: false, clock: clock)
    entry.clock[index] = node.seq + 1
    if leavesOut { entry.clock = self.clock(of: node, replicas[index].core) }
    entries[index].append(entry)
  }

  private func clock(of node: EntryNode, _ core: DatabaseCore) -> [Int] {
    keys.map { key in core.number(of: key).map { Int(node.clock(of: $0)) } ?? 0 }
  }

  /// Copies blocks from one replica to another, of each feed at most `limit`.
  mutating func sync(from: Int, to: Int, limit: Int) throws {
    let sender = replicas[from].core
    let receiver = replicas[to].core
    var budget: [Int: Int] = [:]
    var isDone = false
    while !isDone {
      isDone = true
      // Both learn of feeds by reading heads.
      _ = try sender.snapshot(.local)
      _ = try receiver.snapshot(.local)
      // A feed that is new to the receiver comes with its first block.
      for key in receiver.candidates {
        guard key != replicas[to].key, let number = sender.number(of: key),
          let source = sender.log(of: number) as? MemoryLog, !source.blocks.isEmpty
        else { continue }
        try receiver.admit(MemoryLog(key: key, isWritable: false, blocks: [source.blocks[0]]))
        isDone = false
      }
      for feed in sender.authorized {
        let key = sender.feedKeys[feed]
        guard key != replicas[to].key, let number = receiver.number(of: key),
          let source = sender.log(of: feed) as? MemoryLog,
          let target = receiver.log(of: number) as? MemoryLog
        else { continue }
        let room = limit - budget[number, default: 0]
        let missing = source.blocks.count - target.blocks.count
        guard missing > 0, room > 0 else { continue }
        let start = target.blocks.count
        target.blocks += source.blocks[start..<(start + min(missing, room))]
        budget[number, default: 0] += min(missing, room)
        isDone = false
      }
    }
  }

  // MARK: Predictions

  /// Returns the number of blocks of each feed that a replica stores.
  private func stored(_ index: Int) -> [Int] {
    let core = replicas[index].core
    return keys.map { key in core.number(of: key).map { core.log(of: $0).length } ?? 0 }
  }

  /// Returns the local cut: entries are included as long as all they know is included already.
  func cut(_ index: Int) -> [Int] {
    let stored = stored(index)
    var cut = stored.map { min($0, 1) }
    cut[index] = stored[index]
    var isDone = false
    while !isDone {
      isDone = true
      for feed in cut.indices where feed != index {
        while cut[feed] > 0, cut[feed] < stored[feed] {
          let entry = entries[feed][cut[feed] - 1]
          let isInside = entry.clock.indices.allSatisfy {
            $0 == feed || entry.clock[$0] <= cut[$0]
          }
          guard isInside else { break }
          cut[feed] += 1
          isDone = false
        }
      }
    }
    return cut
  }

  /// Returns whether everything that a replica's entries know is stored there, too.
  func isComplete(_ index: Int) -> Bool { cut(index) == stored(index) }

  /// Returns the answers that a replica should give: by key the entries that no other of the key knew.
  func current(_ index: Int) -> [String: [ModelEntry]] {
    var byKey: [String: [ModelEntry]] = [:]
    for (feed, length) in cut(index).enumerated() where length > 1 {
      for entry in entries[feed][..<(length - 1)] { byKey[entry.key, default: []].append(entry) }
    }
    return byKey.mapValues { all in
      all.filter { entry in
        !all.contains { ($0.feed, $0.seq) != (entry.feed, entry.seq) && $0.covers(entry) }
      }
    }
  }

  // MARK: Checks

  private func locations(_ entries: [ModelEntry], _ core: DatabaseCore) -> Set<FeedSequence> {
    Set(
      entries.map { FeedSequence(feed: core.number(of: keys[$0.feed]) ?? -1, seq: $0.seq) })
  }

  /// Returns whether the entries found are the expected ones. An entry that had to pass over those of other
  /// feeds may know less than the one before it, and a value that this one replaced may be found beside it.
  private func isRight(_ found: Set<FeedSequence>, _ expected: Set<FeedSequence>) -> Bool {
    leavesOut ? found.isSuperset(of: expected) : found == expected
  }

  /// Compares all answers of a replica with the model's.
  func check(_ index: Int, probes: [String], _ note: String) throws {
    let core = replicas[index].core
    // Reading the heads of a database opened anew opens its feeds.
    _ = try core.snapshot(.local)
    let model = current(index)
    // If clocks need not grow, a cut tells less.
    if leavesOut, !isComplete(index) { return }
    let views: [ReadView] = isComplete(index) ? [.local, .latest] : [.local]
    for view in views {
      let snapshot = try core.snapshot(view)
      try expect(snapshot.beside.isEmpty, "sound heads are taken at their word \(note)")
      for key in probes {
        let expected = model[key] ?? []
        let live = expected.allSatisfy(\.isDeleted) ? [] : expected
        let found = try core.get(Array(key.utf8), in: snapshot)
        try expect(
          isRight(found.locations, locations(live, core)),
          "get \(key) finds \(found.locations) of \(locations(live, core)) \(note)")
        let all = try core.get(Array(key.utf8), GetOptions(deletes: true), in: snapshot)
        try expect(
          isRight(all.locations, locations(expected, core)), "get \(key) with deletes \(note)")
        for node in found {
          let feed = try #require(modelFeed(core, node.feed))
          let entry = entries[feed][node.seq - 1]
          try expect(try core.value(of: node) == entry.value, "value of \(key) \(note)")
        }
      }
      for options in [
        ListOptions(), ListOptions(reverse: true), ListOptions(deletes: true),
      ] {
        let groups = try core.groups("", options, in: snapshot)
        var expected = model.filter {
          !$0.key.isEmpty && (options.deletes || !$0.value.allSatisfy(\.isDeleted))
        }
        for group in groups {
          let key = String(decoding: group[0].key, as: UTF8.self)
          let nodes = expected.removeValue(forKey: key) ?? []
          try expect(isRight(group.locations, locations(nodes, core)), "list \(key) \(note)")
        }
        try expect(expected.isEmpty, "list \(options) lacks \(expected.keys) \(note)")
        let order = groups.map { self.order($0[0].key) }
        try expect(
          order == (options.reverse ? order.sorted().reversed() : order.sorted()),
          "order of the list \(note)")
      }
    }
  }

  /// Returns a string that sorts as a list does: the terminator before all digits, then by key.
  private func order(_ key: [UInt8]) -> String {
    hash.path(of: key, terminated: true).description.replacing("4", with: "/") + "!"
      + String(decoding: key, as: UTF8.self)
  }
}
