import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto

/// An authorized writer whose entries are made by hand.
final class HostileWriter {
  /// The kinds of its entries.
  enum Kind: CaseIterable {
    case garbage, nothing
    /// Readable; claims to know everything and leads to nothing.
    case hiding
    /// The same with an existing key.
    case overwriting
    case claimingTheFuture, longClock
    /// Claims to know everything and leads to blocks that don't exist, or that few have.
    case leadingNowhere
    /// Claims to know the next entries of everybody, which others of its kind do too.
    case claimingTheNext
    case badTrie, pointingEverywhere, pointingToTheFuture
    case badInflate, junkFeeds
    case longKey, deepKey
    /// Hundreds of keys without feeds, and one that looks like a newcomer's.
    case junkList, junkNewcomer
    /// Pointers without end.
    case costly
    /// Another history in place of its last entry.
    case forking
  }

  let pair: KeyPair
  private var list: [[UInt8]]
  private var listSeq = 0
  private var length = 1
  private var blocks: [[UInt8]] = []
  /// True if it has signed two histories.
  private(set) var hasForked = false

  init(pair: KeyPair, source: PublicKey) {
    self.pair = pair
    list = [source.bytes, pair.publicKey.bytes]
  }

  func append(_ block: [UInt8], to disk: SimulatedDisk) throws {
    let core = try open(disk)
    if core.length == 0 { try core.append([EntryMessageCodec.header]) }
    try core.append([block])
    length = Int(core.length)
    blocks.append(block)
    try core.close()
  }

  /// Signs a block in place of its last one, in a feed that is made anew.
  func fork(_ block: [UInt8], on disk: SimulatedDisk) throws {
    guard !blocks.isEmpty else { return try append(block, to: disk) }
    hasForked = true
    blocks[blocks.count - 1] = block
    let core = try open(disk, overwrite: true)
    try core.append([EntryMessageCodec.header])
    for block in blocks { try core.append([block]) }
    try core.close()
  }

  /// Opens the feed as its writer does after a crash, which recovers what was written. A mere reader would
  /// count blocks as lost, and no other replica may have them.
  func recover(on disk: SimulatedDisk) throws {
    if length > 1 { try open(disk).close() }
  }

  private func open(_ disk: SimulatedDisk, overwrite: Bool = false) throws -> FeedCore {
    var options = FeedOptions(
      key: pair.publicKey, secretKey: pair.secretKey, durability: .synced, holdsLock: true)
    options.storeSecretKey = false
    options.overwrite = overwrite
    return try FeedCore.open(
      in: disk, prefix: "peers/\(pair.publicKey.discoveryKey.hex)/", options: options)
  }

  /// Returns the next block.
  func entry(_ kind: Kind, knowing feeds: [DatabaseFeed], _ random: inout SeededRandom) -> [UInt8] {
    if kind == .garbage { return random.bytes(30) }
    if kind == .nothing { return [] }
    if kind == .forking { return entry(.hiding, knowing: feeds, &random) }
    let seq = UInt64(length)
    var message = EntryMessage(key: Array("evil/\(length)".utf8), value: [0xee])
    var isNewList = listSeq == 0
    if [.hiding, .overwriting, .claimingTheNext, .leadingNowhere].contains(kind) {
      for feed in feeds where !list.contains(feed.key.bytes) {
        list.append(feed.key.bytes)
        isNewList = true
      }
    }
    if kind == .junkFeeds {
      list += [random.bytes(32), random.bytes(5)]
      isNewList = true
    }
    if kind == .junkList {
      for _ in 0..<Int.random(in: 1...260, using: &random) { list.append(random.bytes(32)) }
      isNewList = true
    }
    if kind == .junkNewcomer {
      message.key = []
      message.value = nil
      list.append(random.bytes(32))
      isNewList = true
    }
    if isNewList {
      listSeq = length
      message.feeds = list
    }
    message.inflate = UInt64(listSeq)
    message.clock = list.map { key in
      let known = feeds.first { $0.key.bytes == key }
      let isHiding = [.hiding, .overwriting, .leadingNowhere].contains(kind)
      if kind == .claimingTheNext {
        return (known?.length ?? 0) + UInt64.random(in: 0...2, using: &random)
      }
      return isHiding ? known?.length ?? 0 : 0
    }
    switch kind {
    case .garbage, .nothing, .hiding, .junkFeeds, .junkList, .junkNewcomer, .forking,
      .claimingTheNext:
      break
    case .costly:
      let path = PathHash.standard.path(of: message.key, terminated: true)
      for index in 0..<64 {
        var slots: [UInt8: [FeedSequence]] = [:]
        for digit in UInt8(0)..<4 where digit != path.digit(index) {
          slots[digit] = (1...40).map { FeedSequence(feed: 0, seq: $0) }
        }
        HostileRoom.write(index, slots, to: &message.trie)
      }
    case .leadingNowhere:
      let path = PathHash.standard.path(of: message.key, terminated: true)
      let ahead = Int.random(in: 0...3, using: &random)
      for index in 0..<path.count - 1 {
        var slots: [UInt8: [FeedSequence]] = [:]
        for digit in UInt8(0)..<4 where digit != path.digit(index) {
          let feed = Int.random(in: list.indices, using: &random)
          let length = feeds.first { $0.key.bytes == list[feed] }?.length ?? 1
          slots[digit] = [FeedSequence(feed: feed, seq: Int(length) + ahead)]
        }
        HostileRoom.write(index, slots, to: &message.trie)
      }
    case .overwriting:
      message.key = Array(RoomStep.keys[Int.random(in: RoomStep.keys.indices, using: &random)].utf8)
    case .claimingTheFuture: message.clock = list.map { _ in 1 << 40 }
    case .longClock: message.clock += [1, 2, 3]
    case .badTrie: message.trie = random.bytes(20)
    case .pointingEverywhere:
      for index in 0..<64 {
        HostileRoom.write(
          index, UInt8.random(in: 0...4, using: &random),
          [FeedSequence(feed: 0, seq: 1), FeedSequence(feed: 0, seq: 2)], to: &message.trie)
      }
    case .pointingToTheFuture:
      HostileRoom.write(0, 2, [FeedSequence(feed: 0, seq: 1 << 30)], to: &message.trie)
    case .badInflate: message.inflate = seq + 9
    case .longKey: message.key = random.bytes(30_000)
    case .deepKey: message.key = Array(String(repeating: "x/", count: 4000).utf8)
    }
    message.clock = message.clock.enumerated().map { place, value in
      place < list.count && list[place] == pair.publicKey.bytes ? seq + 1 : value
    }
    return EntryMessageCodec().encode(message)
  }
}
