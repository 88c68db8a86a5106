import DatTesting
import HyperDB
import Testing

private struct PathVector: Decodable {
  var key: String
  var path: [Int]
  var prefixPath: [Int]
}

private struct MessageVector: Decodable {
  struct Message: Decodable {
    struct Feed: Decodable { var key: String }
    var `protocol`: String?
    var key: String?
    var value: String?
    var deleted: Bool?
    var trie: String?
    var clock: [UInt64]?
    var inflate: UInt64?
    var feeds: [Feed]?
    var contentFeed: String?
  }
  var name: String
  var message: Message
  var encoded: String
}

private struct TrieVector: Decodable {
  var trie: [RecordedDatabase.Bucket]
  var encodeMap: [Int]
  var encoded: String
}

private func bytes(_ text: String) -> [UInt8] {
  text.hasPrefix("hex:") ? [UInt8](hex: String(text.dropFirst(4))) : Array(text.utf8)
}

/// Returns the pointers of a trie by index and digit, as sets.
func pointers(_ trie: Trie) -> [String: Set<FeedSequence>] {
  var all: [String: Set<FeedSequence>] = [:]
  trie.forEachSlot { index, digit, pointers in all["\(index) \(digit)"] = Set(pointers) }
  return all
}

func pointers(_ trie: [RecordedDatabase.Bucket]) -> [String: Set<FeedSequence>] {
  var all: [String: Set<FeedSequence>] = [:]
  for bucket in trie {
    for value in bucket.buckets {
      all["\(bucket.index) \(value.value)"] = Set(
        value.pointers.map { FeedSequence(feed: $0.feed, seq: $0.seq) })
    }
  }
  return all
}

struct CodecTests {
  @Test func `keys become the recorded paths`() throws {
    let vectors: [PathVector] = try Fixtures.json("vectors/path-hash.json")
    try #require(!vectors.isEmpty)
    for vector in vectors {
      let key = Array(vector.key.utf8)
      let path = PathHash.standard.path(of: key, terminated: true)
      #expect((0..<path.count).map { Int(path.digit($0)) } == vector.path, "\(vector.key)")
      let prefix = PathHash.standard.path(of: key, terminated: false)
      #expect((0..<prefix.count).map { Int(prefix.digit($0)) } == vector.prefixPath)
    }
  }

  @Test func `messages have the recorded bytes, both ways`() throws {
    let codec = EntryMessageCodec()
    let vectors: [MessageVector] = try Fixtures.json("vectors/hyperdb-messages.json")
    try #require(!vectors.isEmpty)
    for vector in vectors {
      let encoded = [UInt8](hex: vector.encoded)
      let message = vector.message
      if let name = message.protocol {
        #expect(codec.headerProtocol(encoded) == Array(name.utf8))
        #expect(EntryMessageCodec.header == encoded)
        continue
      }
      var entry = EntryMessage(key: bytes(message.key ?? ""), value: message.value.map(bytes))
      entry.deleted = message.deleted ?? false
      entry.trie = bytes(message.trie ?? "")
      entry.clock = message.clock ?? []
      entry.inflate = message.inflate
      entry.feeds = message.feeds?.map { bytes($0.key) }
      entry.contentFeed = message.contentFeed.map(bytes)
      #expect(codec.encode(entry) == encoded, "\(vector.name)")
      #expect(codec.decode(encoded, inflated: true) == entry, "\(vector.name)")
      entry.feeds = nil
      entry.contentFeed = nil
      #expect(codec.decode(encoded, inflated: false) == entry, "\(vector.name)")
    }
  }

  @Test func `a large value is read as a small one is`() throws {
    let codec = EntryMessageCodec()
    for count in [3, 65_536, 65_537, 4 << 20] {
      var entry = EntryMessage(key: bytes("k"), value: (0..<count).map { UInt8($0 % 251) })
      entry.trie = [0, 1, 2]
      entry.clock = [1, 2]
      entry.inflate = 1
      #expect(codec.decode(codec.encode(entry), inflated: true) == entry)
      entry.feeds = [[UInt8](repeating: 1, count: 32)]
      #expect(codec.decode(codec.encode(entry), inflated: true) == entry)
      // Field number 2 again: the last one counts.
      let twice = codec.encode(entry) + [0x12, 2, 8, 9]
      #expect(codec.decode(twice, inflated: true)?.value == [8, 9])
    }
  }

  @Test func `tries have the recorded bytes, both ways`() throws {
    let vectors: [TrieVector] = try Fixtures.json("vectors/trie-encoding.json")
    try #require(!vectors.isEmpty)
    for vector in vectors {
      let encoded = [UInt8](hex: vector.encoded)
      var decodeMap = Array(repeating: -1, count: (vector.encodeMap.max() ?? -1) + 1)
      for (feed, number) in vector.encodeMap.enumerated() { decodeMap[number] = feed }
      var scratch = TrieCoding.Scratch()
      let trie = try TrieCoding.decode(
        encoded, decodeMap: decodeMap, owner: FeedSequence(feed: 200, seq: 1), scratch: &scratch)
      #expect(pointers(trie) == pointers(vector.trie))
      #expect(TrieCoding.encode(trie, encodeMap: vector.encodeMap) == encoded)
    }
  }

  @Test func `keys sort by UTF-16 units, as in JavaScript`() {
    let keys = ["", "a", "a/b", "b", "é", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}"]
    for left in keys {
      for right in keys {
        let expected = Array(left.utf16).lexicographicallyPrecedes(Array(right.utf16))
        #expect(EntryKey.precedes(Array(left.utf8), Array(right.utf8)) == expected)
      }
    }
  }

  @Test(arguments: testSeeds(standard: 200))
  func `broken bytes are refused without a trap`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let codec = EntryMessageCodec()
    var scratch = TrieCoding.Scratch()
    let recorded = RecordedDatabase.all.flatMap(\.entries)
    for _ in 0..<20 {
      let entry = try #require(recorded.randomElement(using: &random))
      var block = [UInt8](hex: entry.raw)
      for _ in 0..<Int.random(in: 1...4, using: &random) where !block.isEmpty {
        let index = Int.random(in: block.indices, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: block[index] = UInt8.random(in: .min ... .max, using: &random)
        case 1: block[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: block.removeSubrange(index...)
        default: block.insert(contentsOf: [0xff, 0xff, 0xff, 0x7f], at: index)
        }
      }
      guard let message = codec.decode(block, inflated: true) else { continue }
      _ = try? TrieCoding.decode(
        message.trie, decodeMap: [0, 1, -1], owner: FeedSequence(feed: 0, seq: 5),
        scratch: &scratch)
    }
  }
}
