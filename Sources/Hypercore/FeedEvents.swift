internal import Foundation

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
  /// The key pair was here without any block; now a peer has proven how long the feed is, and it can be written.
  case restored
  /// A write failed, on a full disk for example: nothing more is written or downloaded until the feed
  /// is opened anew. What is here can still be read, and is served.
  case failure(reason: String)
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

/// The events of a feed from the call of ``Feed/events()`` on.
///
/// A slow reader loses nothing and costs little: what has the same meaning is told once (two appends as
/// the latest length, blocks as ranges), so the sequence holds at most a bit for each block and an entry
/// for each peer. It ends after ``FeedEvent/close``, and when its task is cancelled. To be read by one
/// task; who else wants to know asks for events of their own.
///
/// Stands for hypercore's events `ready`, `append`, `download`, `upload`, `sync`, `remote-update`,
/// `peer-add`, `peer-remove`, `clear` and `close`.
public struct FeedEvents: AsyncSequence, Sendable {
  public typealias Element = FeedEvent

  let subscription: EventHub.Subscription

  public func makeAsyncIterator() -> Iterator { Iterator(subscription: subscription) }

  /// Waits for one event after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let subscription: EventHub.Subscription

    /// The next event; nil after ``FeedEvent/close`` or when the task is cancelled.
    public mutating func next() async -> FeedEvent? {
      await subscription.next()
    }
  }
}

/// Those who follow a feed, each with what it has not been told yet.
///
/// Unchecked with this proof: `queues` and `last` are touched under the lock only.
final class EventHub: @unchecked Sendable {
  private let lock = NSLock()
  private var queues: [UInt64: EventQueue] = [:]
  private var last: UInt64 = 0
  private var isClosed = false

  /// One reader's place; given up with the last reference to it.
  final class Subscription: Sendable {
    let hub: EventHub
    let number: UInt64

    init(_ hub: EventHub, _ number: UInt64) {
      self.hub = hub
      self.number = number
    }

    deinit { hub.forget(number) }

    func next() async -> FeedEvent? {
      while true {
        switch hub.step(number) {
        case .event(let event): return event
        case .end: return nil
        case .nothing: break
        }
        await withTaskCancellationHandler {
          await withCheckedContinuation { hub.wait(number, $0) }
        } onCancel: {
          hub.cancel(number)
        }
      }
    }
  }

  enum Step {
    case event(FeedEvent)
    case nothing
    case end
  }

  func subscribe() -> Subscription {
    lock.withLock {
      last += 1
      var queue = EventQueue()
      if isClosed { queue.add(.close) }
      queues[last] = queue
      return Subscription(self, last)
    }
  }

  var isEmpty: Bool { lock.withLock { queues.isEmpty } }

  /// How many queues there are and what they hold, in events; for tests.
  var pendingCounts: [Int] { lock.withLock { queues.values.map(\.pendingCount) } }

  func tell(_ event: FeedEvent) {
    let waiters = lock.withLock {
      if case .close = event { isClosed = true }
      return queues.keys.compactMap { number in
        queues[number]?.add(event)
        return queues[number]?.waiter.take()
      }
    }
    for waiter in waiters { waiter.resume() }
  }

  private func step(_ number: UInt64) -> Step {
    lock.withLock {
      if Task.isCancelled { return .end }
      if let event = queues[number]?.next() { return .event(event) }
      return queues[number]?.isClosed ?? true ? .end : .nothing
    }
  }

  /// Keeps the continuation until there is something; resumes it at once where there is already.
  private func wait(_ number: UInt64, _ continuation: CheckedContinuation<Void, Never>) {
    let former = lock.withLock { () -> CheckedContinuation<Void, Never>? in
      guard !Task.isCancelled, let queue = queues[number], queue.pendingCount == 0, !queue.isClosed
      else { return continuation }
      let former = queues[number]?.waiter.take()
      queues[number]?.waiter = continuation
      return former
    }
    former?.resume()
  }

  private func cancel(_ number: UInt64) {
    lock.withLock { queues[number]?.waiter.take() }?.resume()
  }

  private func forget(_ number: UInt64) {
    lock.withLock { queues.removeValue(forKey: number)?.waiter }?.resume()
  }
}

/// What one reader of events has not been told yet.
struct EventQueue {
  private var ready = true
  private var length: UInt64?
  private var downloaded = BlockSet(mixedPageLimit: .max)
  private var uploaded = BlockSet(mixedPageLimit: .max)
  private var cleared = BlockSet(mixedPageLimit: .max)
  private var peers: [(FeedPeerID, added: Bool)] = []
  private var remoteUpdate = false
  private var synced = false
  private var forked = false
  private var restored = false
  private var failure: String?
  private(set) var isClosed = false
  private var closeWasTold = false
  var waiter: CheckedContinuation<Void, Never>?

  mutating func add(_ event: FeedEvent) {
    switch event {
    case .ready: ready = true
    case .append(let length):
      self.length = length
      // It would be told after, and is no longer so.
      synced = false
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
      cleared.insert(range)
      synced = false
    case .fork: forked = true
    case .restored: restored = true
    case .failure(let reason): failure = reason
    case .close: isClosed = true
    }
  }

  /// About how many events wait: a set of blocks counts as one.
  var pendingCount: Int {
    (ready ? 1 : 0) + (length == nil ? 0 : 1) + peers.count + (remoteUpdate ? 1 : 0)
      + (downloaded.isEmpty ? 0 : 1) + (uploaded.isEmpty ? 0 : 1) + (cleared.isEmpty ? 0 : 1)
      + (synced ? 1 : 0) + (forked ? 1 : 0) + (restored ? 1 : 0) + (failure == nil ? 0 : 1)
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
    if let range = downloaded.removeFirstRange() { return .download(range) }
    if let range = uploaded.removeFirstRange() { return .upload(range) }
    if Self.take(&synced) { return .sync }
    if Self.take(&restored) { return .restored }
    if Self.take(&forked) { return .fork }
    if let reason = failure.take() { return .failure(reason: reason) }
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
