/// What happens to a feed.
@nonexhaustive
public enum FeedEvent: Hashable, Sendable {
  /// The feed can be used; always the first event.
  case ready
  /// The feed has this many blocks now: appended here, or learned from a peer with a valid signature.
  case append(length: UInt64)
  /// Blocks arrived from peers, were verified and stored.
  case download(Range<UInt64>)
  /// Blocks were sent to peers.
  case upload(Range<UInt64>)
  /// Every block up to the known length is here.
  case sync
  /// A peer said that it has blocks; nothing about it is verified.
  case remoteUpdate
  /// A peer speaks about this feed now.
  case peerAdd(FeedPeerID)
  /// A peer no longer does.
  case peerRemove(FeedPeerID)
  /// Blocks were given up here.
  case clear(Range<UInt64>)
  /// Two valid signatures for one length were seen: somebody forked the feed. It takes no more blocks.
  case fork
  /// The feed was closed; always the last event.
  case close
}

/// A peer of a feed: one connection.
public struct FeedPeerID: Hashable, Sendable {
  /// Tells connections apart, also those to one and the same peer.
  public let number: UInt64
  /// What the peer calls itself: 32 random bytes, proven by nothing; nil where it said nothing.
  public let id: [UInt8]?
}

/// The events of a feed from now on.
///
/// A slow reader loses nothing and costs little: what has the same meaning is told once (two appends as
/// the latest length, blocks as ranges), so the sequence holds at most a bit for each block and an entry
/// for each peer.
public struct FeedEvents: AsyncSequence, Sendable {
  public typealias Element = FeedEvent

  let feed: Feed

  public func makeAsyncIterator() -> Iterator { Iterator(feed: feed) }

  public struct Iterator: AsyncIteratorProtocol {
    let feed: Feed
    private var number: UInt64?

    init(feed: Feed) { self.feed = feed }

    /// The next event; nil after ``FeedEvent/close`` or when the task is cancelled.
    public mutating func next() async -> FeedEvent? {
      if number == nil { number = await feed.subscribe() }
      guard let number else { return nil }
      return await feed.nextEvent(number)
    }
  }
}

/// What one reader of events has not been told yet.
struct EventQueue {
  private var ready = true
  private var length: UInt64?
  private var downloaded = BlockSet()
  private var uploaded = BlockSet()
  private var cleared: [Range<UInt64>] = []
  private var peers: [(FeedPeerID, added: Bool)] = []
  private var remoteUpdate = false
  private var synced = false
  private var forked = false
  private(set) var isClosed = false
  private var closeWasTold = false
  var waiter: CheckedContinuation<Void, Never>?

  mutating func add(_ event: FeedEvent) {
    switch event {
    case .ready: ready = true
    case .append(let length): self.length = length
    case .download(let range): downloaded.insert(range)
    case .upload(let range): uploaded.insert(range)
    case .sync: synced = true
    case .remoteUpdate: remoteUpdate = true
    case .peerAdd(let peer): peers.append((peer, true))
    case .peerRemove(let peer):
      // One that came and went unseen needs no mention.
      if let place = peers.firstIndex(where: { $0.0 == peer && $0.added }) {
        peers.remove(at: place)
      } else {
        peers.append((peer, false))
      }
    case .clear(let range):
      downloaded.remove(range)
      if let last = cleared.last, last.upperBound == range.lowerBound {
        cleared[cleared.count - 1] = last.lowerBound..<range.upperBound
      } else {
        cleared.append(range)
      }
    case .fork: forked = true
    case .close: isClosed = true
    }
  }

  mutating func next() -> FeedEvent? {
    if Self.take(&ready) { return .ready }
    if !peers.isEmpty {
      let (peer, added) = peers.removeFirst()
      return added ? .peerAdd(peer) : .peerRemove(peer)
    }
    if Self.take(&remoteUpdate) { return .remoteUpdate }
    if let length {
      self.length = nil
      return .append(length: length)
    }
    if !cleared.isEmpty { return .clear(cleared.removeFirst()) }
    if let range = downloaded.removeFirstRange() { return .download(range) }
    if let range = uploaded.removeFirstRange() { return .upload(range) }
    if Self.take(&synced) { return .sync }
    if Self.take(&forked) { return .fork }
    if isClosed, !closeWasTold {
      closeWasTold = true
      return .close
    }
    return nil
  }

  private static func take(_ flag: inout Bool) -> Bool {
    defer { flag = false }
    return flag
  }
}
