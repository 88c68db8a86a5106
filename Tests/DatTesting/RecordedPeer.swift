internal import DatCoding
public import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

/// One end of a recorded session, played to a live end.
///
/// It delivers the recorded bytes, chunk by chunk in the recorded order. Each chunk waits until the live end
/// has sent what the recorded end must have waited for: a Request before a Data, a Want before a Have, an
/// offer of the block before a Request, and so on. So the live end may make its requests in another order
/// than the recorded one did, as long as it requests everything.
///
/// ```swift
/// let peer = try RecordedPeer(RecordedSession("feed-full"), playing: .a)
/// try await peer.replay(with: copy.replicate())
/// ```
public final class RecordedPeer {
  public let session: RecordedSession
  public let side: RecordedSession.Side
  /// The messages of the live end so far, in order.
  public private(set) var heard: [RecordedSession.Said] = []

  private let chunks: [RecordedSession.Chunk]
  private var place = 0
  private let reader: StreamReader
  private var feeds: [DiscoveryKey: Exchange] = [:]
  private var heardHandshake = false
  private var silence = 0

  /// The messages of both ends about one feed.
  private struct Exchange {
    var hasWant = false
    var wanted: [Range<UInt64>] = []
    var requested: Set<UInt64> = []
    var sought = 0
    var offered: Set<UInt64> = []
    var isDone = false
    /// Blocks that the recorded end has requested and not received.
    var open: Set<UInt64> = []
    var openSeeks: Set<UInt64> = []
  }

  /// - Parameter side: the end that is played; the live end replaces the other one.
  public init(_ session: RecordedSession, playing side: RecordedSession.Side) throws {
    self.session = session
    self.side = side
    chunks = session.chunks.filter { $0.from == side }
    reader = try StreamReader(
      keys: [session.key] + session.keyPairs.map(\.publicKey), isEncrypted: session.isEncrypted,
      extensions: session.handshake(of: side)?.extensions ?? [])
  }

  /// True if all bytes were delivered.
  public var isAtEnd: Bool { place == chunks.count }

  /// True if all bytes were delivered and every request in them was answered.
  public var isSatisfied: Bool {
    isAtEnd && feeds.values.allSatisfy { $0.open.isEmpty && $0.openSeeks.isEmpty }
  }

  /// The next messages of the recorded end, not delivered yet; empty at the end.
  public var waitingToSay: [RecordedSession.Said] { isAtEnd ? [] : chunks[place].said }

  /// Receives the output of the live end.
  public func hear(_ bytes: [UInt8]) throws {
    for said in try reader.read(bytes) {
      heard.append(said)
      switch said {
      case .feed, .extension: break
      case .handshake: heardHandshake = true
      case .message(let feed, let message): note(message, about: feed)
      }
    }
  }

  /// The next recorded bytes; nil if the live end has to send something before them.
  public func next() -> [UInt8]? {
    guard place < chunks.count, chunks[place].said.allSatisfy(isDue) else { return nil }
    for case .message(let feed, .request(let request)) in chunks[place].said {
      if request.bytes == 0 {
        feeds[feed, default: Exchange()].open.insert(request.index)
      } else {
        feeds[feed, default: Exchange()].openSeeks.insert(request.bytes)
      }
    }
    place += 1
    return chunks[place - 1].bytes
  }

  /// Plays to the end: until everything was delivered and answered and, in a session that isn't live, until
  /// the live end has ended too. Returns early if the live end ends early.
  ///
  /// - Parameter afterEach: called after each exchange; a test may let the live end do something, such as
  ///   append what the recorded end waits for; see ``waitingToSay``.
  public func replay(
    with stream: ReplicationStream, afterEach: (() async throws -> Void)? = nil
  ) async throws {
    var hasFinished = false
    while true {
      while let bytes = next() { await stream.receive(bytes) }
      try await afterEach?()
      if isSatisfied {
        if session.isLive { return }
        if !hasFinished, isDoneWithUs {
          hasFinished = true
          await stream.finishInput()
        }
      }
      guard let bytes = await stream.nextOutput() else { return }
      let before = heard.count
      try hear(bytes)
      // Nothing but keep-alives: the live end waits too.
      silence = heard.count == before ? silence + 1 : 0
      if silence == 3 { throw Stuck(waitingToSay: waitingToSay) }
    }
  }

  /// Carries bytes in both directions until neither end has more to send.
  ///
  /// - Returns: true if the live end goes on; false once it has ended.
  @discardableResult
  package func exchange(with session: ReplicationSession, now: ContinuousClock.Instant) throws
    -> Bool
  {
    while true {
      var isQuiet = true
      while let bytes = next() {
        session.receive(bytes, now: now)
        isQuiet = false
      }
      guard let output = session.takeOutput(now: now) else { return false }
      if !output.isEmpty {
        try hear(output)
        isQuiet = false
      }
      if isQuiet { return true }
    }
  }

  /// The error that neither end has anything to send.
  public struct Stuck: Error {
    /// The next messages of the recorded end.
    public let waitingToSay: [RecordedSession.Said]
  }

  /// True if the live end said of every feed that it downloads nothing more.
  private var isDoneWithUs: Bool { session.feeds.allSatisfy { feeds[$0]?.isDone == true } }

  // MARK: Due messages

  private func note(_ message: Message, about feed: DiscoveryKey) {
    var exchange = feeds[feed] ?? Exchange()
    defer { feeds[feed] = exchange }
    switch message {
    case .want(let start, let length):
      exchange.hasWant = true
      exchange.wanted.append(start..<(start + length))
    case .request(let request):
      if request.bytes == 0 {
        exchange.requested.insert(request.index)
      } else {
        exchange.sought += 1
      }
    case .have(let start, let length, let bitfield, _):
      if let bitfield {
        for (place, byte) in ((try? BitfieldRLE.decode(bitfield, limit: 1 << 17)) ?? [])
          .enumerated()
        {
          for bit in 0..<8 where byte & (0x80 >> UInt8(bit)) != 0 {
            exchange.offered.insert(start + UInt64(place * 8 + bit))
          }
        }
      } else {
        for index in start..<(start + min(max(length, 1), 1 << 20)) {
          exchange.offered.insert(index)
        }
      }
    case .data(let data):
      exchange.open.remove(data.index)
      if data.value == nil { exchange.openSeeks.removeAll() }
    case .info(_, let downloading): if !downloading { exchange.isDone = true }
    case .unhave, .unwant, .cancel: break
    }
  }

  private func isDue(_ said: RecordedSession.Said) -> Bool {
    switch said {
    case .feed(let name):
      // A later feed becomes known through requests that were answered before.
      return name == session.key.discoveryKey || feeds.values.allSatisfy { $0.open.isEmpty }
    case .handshake: return true
    case .extension: return heardHandshake
    case .message(let name, let message):
      let exchange = feeds[name] ?? Exchange()
      switch message {
      case .want: return heardHandshake
      case .have(let start, _, let bitfield, _):
        guard bitfield != nil else { return exchange.hasWant }
        return exchange.wanted.contains { $0.contains(start) }
      case .request(let request): return exchange.offered.contains(request.index)
      case .data(let data):
        return exchange.requested.contains(data.index)
          || (data.value == nil && exchange.sought > 0)
      case .info(let uploading, let downloading):
        if downloading { return true }
        return uploading ? exchange.open.isEmpty : exchange.isDone
      case .unhave, .unwant, .cancel: return true
      }
    }
  }
}
