import DatCoding
import DatTesting
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

/// A victim's feed with two connections: one to a peer whose messages the test decides, and one to a good
/// peer, which has to be served whatever the other does.
final class HostilePeer {
  let pair: KeyPair
  /// The blocks of the writer that both peers claim to have.
  let blocks: [[UInt8]]
  /// The writer's feed, from which proofs are taken.
  let writer: FeedCore
  let victim: FeedCore
  let replicator: Replicator
  let session: ReplicationSession
  let good: ReplicationSession
  private(set) var now = ContinuousClock.now
  private let connection: Connection
  private let channel: ChannelID
  private let writerSession: ReplicationSession
  private let writerReplicator: Replicator
  /// The victim's messages to the hostile peer.
  private(set) var heard: [Message] = []
  /// The reason why the victim closed the hostile connection.
  private(set) var reason: FeedError?
  private(set) var protocolReason: ProtocolError?
  private(set) var isClosed = false
  private(set) var goodIsClosed = false
  let disk = TrackingStorage()

  /// - Parameters:
  ///   - serving: true if the victim is the feed's writer, with all its blocks.
  ///   - sparse: true if it fetches only what a test gets.
  init(serving: Bool = false, sparse: Bool = true, count: Int = 10) throws {
    let pair = KeyPair(seed: [UInt8](repeating: 7, count: 32))!
    self.pair = pair
    blocks = (0..<count).map { Array("block \($0)".utf8) }
    writer = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: pair))
    try writer.append(blocks)
    victim = try FeedCore.open(
      in: disk,
      options: serving ? FeedOptions(keyPair: pair) : FeedOptions(key: pair.publicKey))
    if serving { try victim.append(blocks) }
    replicator = Replicator(core: victim, isSparse: sparse, random: SeededRandom(seed: 1))
    writerReplicator = Replicator(core: writer, isSparse: true, random: SeededRandom(seed: 2))
    var random = SeededRandom(seed: 3)
    func options() -> Connection.Options {
      var options = Connection.Options.random(using: &random)
      options.live = true
      options.timeout = nil
      return options
    }
    session = ReplicationSession(
      connection: Connection(options: options(), now: now), expectedFeeds: 1, now: now)
    good = ReplicationSession(
      connection: Connection(options: options(), now: now), expectedFeeds: 1, now: now)
    writerSession = ReplicationSession(
      connection: Connection(options: options(), now: now), expectedFeeds: 1, now: now)
    connection = Connection(options: options(), now: now)
    try session.open(replicator, download: true)
    channel = try connection.open(pair.publicKey)
    session.hooks.onClose = { [unowned self] error in
      isClosed = true
      reason = error as? FeedError
      protocolReason = error as? ProtocolError
    }
    good.hooks.onClose = { [unowned self] _ in goodIsClosed = true }
    try exchange()
  }

  /// Sends messages in one burst and receives the victim's.
  ///
  /// - Parameter reading: true if the victim's answers are read.
  func say(_ messages: Message..., reading: Bool = true) throws {
    try say(messages, reading: reading)
  }

  func say(_ messages: [Message], reading: Bool = true) throws {
    for message in messages { try connection.send(message, on: channel) }
    try exchange(reading: reading)
  }

  private func exchange(reading: Bool = true) throws {
    while true {
      let bytes = connection.takeOutput()
      if !bytes.isEmpty { session.receive(bytes, now: now) }
      guard reading, let output = session.takeOutput(now: now), !output.isEmpty else { return }
      try connection.receive(output, now: now)
      while let event = try connection.nextEvent() {
        if case .message(_, let message) = event { heard.append(message) }
      }
    }
  }

  /// Lets the victim's timers run.
  func pass(_ duration: Duration) throws {
    now += duration
    session.tick(now: now)
    good.tick(now: now)
    try exchange()
  }

  /// Makes the victim request a block from the hostile peer, which claims to have everything.
  func askFor(_ index: UInt64) throws {
    _ = replicator.get(index) { _ in }
    try say(.have(start: 0, length: UInt64(blocks.count)))
    try replicator.flush()
    try exchange()
    try #require(
      heard.contains {
        if case .request(let request) = $0 { request.index == index } else { false }
      },
      "block \(index) was not asked for")
  }

  /// The right answer for a block, with a complete proof.
  func answer(_ index: UInt64) throws -> DataMessage {
    let proof = try writer.proof(index)
    return DataMessage(
      index: index, value: blocks[Int(index)], nodes: proof.nodes, signature: proof.signature)
  }

  /// Connects the good peer, which has everything, and lets the victim get `index` and the block before it
  /// from it.
  func expectGoodPeerGoesOn(
    _ index: UInt64 = 3, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try good.open(replicator, download: true)
    try writerSession.open(writerReplicator, download: false)
    // The block that was requested from the other peer is released.
    let indexes = [index, index - 1]
    for index in indexes { _ = replicator.get(index) { _ in } }
    try replicator.flush()
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      for (one, other) in [(good, writerSession), (writerSession, good)] {
        guard let bytes = one.takeOutput(now: now), !bytes.isEmpty else { continue }
        isQuiet = false
        other.receive(bytes, now: now)
      }
    }
    #expect(!goodIsClosed, sourceLocation: sourceLocation)
    for index in indexes {
      #expect(try victim.block(at: index) == blocks[Int(index)], sourceLocation: sourceLocation)
    }
    #expect(try victim.audit().invalid == 0, sourceLocation: sourceLocation)
  }

  /// Expects that the messages get the peer disconnected for a reason, with nothing stored.
  func expectOut(
    _ code: FeedError.Code, by messages: Message..., storing stored: Int = 0,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    disk.reset()
    let before = (victim.length, victim.downloaded())
    try say(messages)
    #expect(isClosed, sourceLocation: sourceLocation)
    #expect(reason?.code == code, "\(String(describing: reason))", sourceLocation: sourceLocation)
    #expect(reason?.reason.isEmpty == false, sourceLocation: sourceLocation)
    #expect(before == (victim.length, victim.downloaded()), sourceLocation: sourceLocation)
    #expect(disk.calls(.write).isEmpty, "\(disk.calls)", sourceLocation: sourceLocation)
    #expect(replicator.peers.isEmpty, sourceLocation: sourceLocation)
    try expectGoodPeerGoesOn(sourceLocation: sourceLocation)
  }
}
