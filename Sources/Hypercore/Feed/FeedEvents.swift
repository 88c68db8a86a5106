/// An event of a feed.
@nonexhaustive
public enum FeedEvent: Hashable, Sendable {
  /// The feed can be used; always the first event.
  case ready
  /// The feed has this many blocks now: they were appended here, or a peer proved them with a valid
  /// signature.
  case append(length: UInt64)
  /// Blocks arrived, and were verified and stored: ``Feed/get(_:options:)-(Range<UInt64>,_)`` returns them at once.
  /// The peer is nil if ``Feed/put(_:_:proof:)`` stored them, or if a reader is so slow that blocks of more than
  /// 64 peers wait for it.
  case download(Range<UInt64>, from: FeedPeerID?)
  /// Blocks were sent to a peer, which is nil if blocks for more than 64 peers wait for a slow reader.
  case upload(Range<UInt64>, to: FeedPeerID?)
  /// Every block up to the known length is here.
  case sync
  /// A peer said that it has blocks; nothing about it is verified.
  case remoteUpdate
  /// A peer has begun to replicate this feed.
  case peerAdd(FeedPeerID)
  /// A peer has stopped replicating this feed.
  case peerRemove(FeedPeerID)
  /// Blocks were cleared here.
  case clear(Range<UInt64>)
  /// Blocks that counted as stored were found missing or changed, and count as not stored from now on. This
  /// happens to a feed whose blocks are kept in files that others change, and in an audit.
  case missing(Range<UInt64>)
  /// Two valid signatures for one length were seen: the feed is forked. It takes no more blocks.
  case fork
  /// The key pair was here without any block. Now a peer has proven how long the feed is, and it can be
  /// written.
  case restored
  /// A write failed, for example on a full disk: nothing is downloaded until the storage works again. What is
  /// here can still be read, and is served.
  case failure(reason: String)
  /// Downloading has paused: a limit of the disk is reached, or the storage failed.
  case pause(DownloadPause)
  /// Downloading has resumed.
  case resume
  /// The feed was closed; always the last event.
  case close
}

/// A peer of a feed: one connection.
public struct FeedPeerID: Hashable, Sendable {
  /// Distinguishes connections, including several to the same peer.
  public let number: UInt64
  /// The name that the peer gives itself: 32 random bytes, unproven; nil if it gave none.
  public let id: [UInt8]?
}

/// The events of a feed from the call of ``Feed/events()`` on.
///
/// A slow reader misses nothing and costs little. Events with the same meaning are merged: two appends into
/// the latest length, blocks of one peer into ranges. So the sequence holds no block, at most a bit for each block
/// and each of 64 peers, and an entry for each peer. It ends after ``FeedEvent/close``, and when its task is cancelled. One task reads it; other
/// readers call ``Feed/events()`` for sequences of their own.
///
/// Stands for hypercore's events `ready`, `append`, `download`, `upload`, `sync`, `remote-update`,
/// `peer-add`, `peer-remove`, `clear` and `close`.
public struct FeedEvents: AsyncSequence, Sendable {
  public typealias Element = FeedEvent

  let subscription: Broadcast<EventQueue>.Subscription

  public func makeAsyncIterator() -> Iterator { Iterator(subscription: subscription) }

  /// An iterator that waits for each event.
  public struct Iterator: AsyncIteratorProtocol {
    let subscription: Broadcast<EventQueue>.Subscription

    /// Returns the next event; nil after ``FeedEvent/close`` or if the task is cancelled.
    public mutating func next() async -> FeedEvent? {
      await subscription.next()
    }
  }
}

/// The events that wait for one reader. A later event replaces those that it makes stale.
struct EventQueue: BroadcastQueue {
  private var ready = true
  private var length: UInt64?
  private var downloaded = BlocksByPeer()
  private var uploaded = BlocksByPeer()
  private var cleared = BlockSet(mixedPageLimit: .max)
  private var missing = BlockSet(mixedPageLimit: .max)
  private var peers: [(FeedPeerID, added: Bool)] = []
  private var remoteUpdate = false
  private var synced = false
  private var forked = false
  private var restored = false
  private var failure: String?
  /// The last pause, or its end.
  private var pause: FeedEvent?
  private var isClosed = false
  private var closeWasTold = false

  mutating func add(_ event: FeedEvent) {
    switch event {
    case .ready: ready = true
    case .append(let length):
      self.length = length
      // The reader would get it after this event, when it no longer holds.
      synced = false
    case .download(let range, let peer): downloaded.insert(range, peer)
    case .upload(let range, let peer): uploaded.insert(range, peer)
    case .sync: synced = true
    case .remoteUpdate: remoteUpdate = true
    case .peerAdd(let peer): peers.append((peer, true))
    case .peerRemove(let peer):
      // A peer that came and went before the reader saw it is not reported.
      if let place = peers.firstIndex(where: { $0.0 == peer && $0.added }) {
        peers.remove(at: place)
      } else {
        peers.append((peer, false))
      }
    case .clear(let range):
      downloaded.remove(range)
      cleared.insert(range)
      synced = false
    case .missing(let range):
      downloaded.remove(range)
      missing.insert(range)
      synced = false
    case .fork: forked = true
    case .restored: restored = true
    case .failure(let reason): failure = reason
    case .pause, .resume: pause = event
    case .close: isClosed = true
    }
  }

  /// The approximate number of events that wait: a set of blocks counts as one.
  var pendingCount: Int {
    (ready ? 1 : 0) + (length == nil ? 0 : 1) + peers.count + (remoteUpdate ? 1 : 0)
      + downloaded.count + uploaded.count + (cleared.isEmpty ? 0 : 1) + (missing.isEmpty ? 0 : 1)
      + (synced ? 1 : 0) + (forked ? 1 : 0) + (restored ? 1 : 0) + (failure == nil ? 0 : 1)
      + (pause == nil ? 0 : 1)
      + (isClosed && !closeWasTold ? 1 : 0)
  }

  mutating func next() -> FeedEvent? {
    if Self.take(&ready) { return .ready }
    if !peers.isEmpty {
      let (peer, added) = peers.removeFirst()
      return added ? .peerAdd(peer) : .peerRemove(peer)
    }
    if Self.take(&remoteUpdate) { return .remoteUpdate }
    if let length = length.take() { return .append(length: length) }
    if let range = cleared.removeFirstRange() { return .clear(range) }
    if let range = missing.removeFirstRange() { return .missing(range) }
    if let (range, peer) = downloaded.removeFirst() { return .download(range, from: peer) }
    if let (range, peer) = uploaded.removeFirst() { return .upload(range, to: peer) }
    if Self.take(&synced) { return .sync }
    if Self.take(&restored) { return .restored }
    if Self.take(&forked) { return .fork }
    if let reason = failure.take() { return .failure(reason: reason) }
    if let pause = pause.take() { return pause }
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
