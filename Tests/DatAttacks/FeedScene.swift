internal import DatSwarm
internal import DatTesting
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

/// A feed that the victim serves, with an honest reader connected to it.
final class FeedScene: Sendable {
  struct Options: Sendable {
    /// The number of blocks of the feed.
    var count = 64
    /// Their size in bytes.
    var size = 16
    /// The blocks that the victim has as a reader; nil if it is the writer with all of them.
    var has: Range<UInt64>?
    /// The most connections that the victim accepts.
    var connections = 64
  }

  let victim: Victim
  let key: PublicKey
  /// The writer's own copy, from which proofs are taken.
  let writer: Feed
  /// The key pair of the feed.
  let pair: KeyPair
  let options: Options
  private let folder: TemporaryFolder
  private let reader: Feed
  private let pump: Task<Void, Never>
  private let progress: Progress

  private actor Progress {
    var next: UInt64

    init(_ next: UInt64) { self.next = next }

    func take() -> UInt64 {
      defer { next += 1 }
      return next
    }
  }

  static func block(_ index: UInt64, size: Int) -> [UInt8] {
    Array("block \(index) ".utf8).prefix(size) + [UInt8](repeating: 0x2e, count: max(size - 9, 0))
  }

  init(_ options: Options, _ kind: VictimKind) async throws {
    self.options = options
    folder = try TemporaryFolder()
    let pair = KeyPair.generate()
    self.pair = pair
    key = pair.publicKey
    writer = try await Feed.inMemory(options: Feed.Options(keyPair: pair, isNew: true))
    let blocks = (0..<options.count).map { Self.block(UInt64($0), size: options.size) }
    try await writer.append(blocks)
    let stored: Feed
    if let has = options.has {
      stored = try await Feed.open(folder: folder.path, options: Feed.Options(key: key))
      for index in has {
        try await stored.put(index, blocks[Int(index)], proof: writer.proof(of: index))
      }
    } else {
      stored = try await Feed.open(
        folder: folder.path, options: Feed.Options(keyPair: pair, isNew: true))
      try await stored.append(blocks)
    }
    try await stored.close()
    victim = try await Victim(
      [
        "feed", "serve", folder.path, "--listen", "127.0.0.1:0", "--json",
        "--connections", "\(options.connections)",
      ], kind)
    progress = Progress(options.has?.lowerBound ?? 0)
    reader = try await Feed.inMemory(options: Feed.Options(key: key, sparse: true))
    let (feed, port) = (reader, victim.port)
    pump = Task {
      do {
        let stream = try await feed.replicate(.live)
        let address = PeerAddress(host: "127.0.0.1", port: port)
        try await TCPDialer.connect(to: address).pump(stream)
      } catch {
        return
      }
    }
    try await checkHonest("before the attack")
  }

  deinit { pump.cancel() }

  /// A hostile connection.
  func attacker(greets: Bool = true, handshake: [UInt8] = [0x10, 0x01]) async throws -> Attacker {
    let (port, key) = (victim.port, key)
    return try await blocking { try Attacker(port, key, greets: greets, handshake: handshake) }
  }

  /// Checks that the honest peer gets its next block from the victim.
  func checkHonest(_ when: String) async throws {
    let index = await progress.take()
    let (reader, size) = (reader, options.size)
    let block = try await within("an honest peer's block \(when)") { try await reader.get(index) }
    try require(block == Self.block(index, size: size), "block \(index) is not what was written")
  }

  /// Returns whether the victim has a block, according to a new peer that asks it.
  func victimOffers(_ index: UInt64) async throws -> Bool {
    let (port, key) = (victim.port, key)
    return try await blocking {
      let asker = try Attacker(port, key)
      asker.send(Raw.frame(0, 7, Body.numbers((1, index))))
      var isOffered = false
      try asker.hear("answer") { message in
        switch message {
        case .data(let data) where data.index == index && data.value != nil:
          isOffered = true
          return true
        case .unhave(let start, _): return start == index
        default: return false
        }
      }
      return isOffered
    }
  }

  func measure(_ attack: () async throws -> Void) async throws -> Cost {
    try await victim.measure(attack) {
      try await checkHonest("after the attack")
      let (port, key) = (victim.port, key)
      // The slots of closed connections may be released a moment later.
      try await within("an answer to a new peer after the attack") {
        while (try? await blocking { try Attacker(port, key).expectOpen("a new peer") }) == nil {
          try Task.checkCancellation()
          try await Task.sleep(for: .milliseconds(20))
        }
      }
    }
  }
}
