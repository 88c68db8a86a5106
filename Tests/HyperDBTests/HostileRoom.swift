import DatCoding
import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// A room with an owner, and writers whose entries are made by hand.
final class HostileRoom {
  let core: DatabaseCore
  let evil: [MemoryLog]
  private(set) var opened = 0

  init(
    evil count: Int = 1, hash: PathHash = .standard, checksHeads: Bool = true,
    indexesPaths: Bool = true
  ) throws {
    let owner = MemoryLog(key: try Self.key(1), isWritable: true)
    let evil = try (0..<count).map { MemoryLog(key: try Self.key($0 + 2), isWritable: false) }
    self.evil = evil
    let counter = Counter()
    var options = DatabaseCore.Options()
    options.hash = hash
    options.checksHeads = checksHeads
    options.indexesPaths = indexesPaths
    core = try DatabaseCore(source: owner, local: nil, options: options) { key in
      counter.count += 1
      return evil.first { $0.key == key } ?? MemoryLog(key: key, isWritable: false)
    }
    self.counter = counter
    try core.put(Array("shared".utf8), [1])
    try core.put(Array("folder/owner".utf8), [2])
    for log in evil {
      log.blocks = [EntryMessageCodec.header]
      try core.authorize(log.key.bytes)
    }
  }

  private final class Counter { var count = 0 }
  private let counter: Counter
  var openCount: Int { counter.count }

  static func key(_ number: Int) throws -> PublicKey {
    try #require(
      PublicKey(bytes: [UInt8(number >> 8), UInt8(number & 255)] + Array(repeating: 9, count: 30)))
  }

  /// The list that every hand-made writer publishes: the owner, then all writers.
  var list: [[UInt8]] { [core.key.bytes] + evil.map(\.key.bytes) }

  /// Appends a hand-made entry, with a correct list if it is the first.
  @discardableResult
  func append(
    _ writer: Int = 0, _ key: String, trie: [UInt8] = [], clock: [UInt64]? = nil,
    change: (inout EntryMessage) -> Void = { _ in }
  ) -> FeedSequence {
    let seq = evil[writer].blocks.count
    var message = EntryMessage(key: Array(key.utf8), value: [0xee])
    message.trie = trie
    message.clock = clock ?? Array(repeating: 0, count: list.count)
    if clock == nil { message.clock[writer + 1] = UInt64(seq) + 1 }
    message.inflate = 1
    if seq == 1 { message.feeds = list }
    change(&message)
    evil[writer].blocks.append(EntryMessageCodec().encode(message))
    return FeedSequence(feed: writer + 1, seq: seq)
  }

  /// Checks that the owner's values are there, and that writing goes on.
  func checkSound(_ note: String) throws {
    for view in [ReadView.latest, .local] {
      let snapshot = try core.snapshot(view)
      #expect(try value("shared", snapshot).contains([1]), "\(note)")
      #expect(try value("folder/owner", snapshot).contains([2]), "\(note)")
      let keys = try core.groups("", ListOptions(), in: snapshot).map { $0[0].key }
      #expect(keys.contains(Array("shared".utf8)), "\(note)")
      #expect(keys.contains(Array("folder/owner".utf8)), "\(note)")
      #expect(try core.entries(in: snapshot).contains { $0.feed == 0 }, "\(note)")
    }
    let written = try core.put(Array("after".utf8), [3])
    #expect(
      try core.get(Array("after".utf8), in: core.snapshot()).locations.contains(written.location))
    #expect(try value("shared", core.snapshot()).contains([1]), "\(note)")
    _ = try core.keyGroups("shared", in: core.snapshot())
  }

  func value(_ key: String, _ snapshot: Snapshot) throws -> [[UInt8]?] {
    try core.get(Array(key.utf8), in: snapshot).map(\.value)
  }

  /// Writes one place of a trie with feeds numbered as in ``list``.
  static func write(
    _ index: Int, _ digit: UInt8, _ pointers: [FeedSequence], to bytes: inout [UInt8]
  ) {
    write(index, [digit: pointers], to: &bytes)
  }

  /// Writes one index of a trie, with pointers for several digits.
  static func write(_ index: Int, _ slots: [UInt8: [FeedSequence]], to bytes: inout [UInt8]) {
    Varint.write(UInt64(index), to: &bytes)
    Varint.write(slots.keys.reduce(0) { $0 | 1 << UInt64($1) }, to: &bytes)
    for (_, pointers) in slots.sorted(by: { $0.key < $1.key }) {
      for (place, pointer) in pointers.enumerated() {
        Varint.write(
          UInt64(pointer.feed) << 1 | (place + 1 < pointers.count ? 1 : 0), to: &bytes)
        Varint.write(UInt64(pointer.seq), to: &bytes)
      }
    }
  }
}
