internal import Hypercore

/// An event of an archive.
@nonexhaustive
public enum ArchiveEvent: Hashable, Sendable {
  /// The content feed's key is known now.
  case content
  /// There is a newer version, written here or announced by a peer. Several in a row are one event.
  case update(version: UInt64)
  /// Everything of this version is here.
  case sync(version: UInt64)
  /// Something is the matter, or no more: ``Archive/fork``, ``Archive/downloadPause`` and
  /// ``Archive/folderFailure`` say what.
  case trouble
  /// The archive was closed; always the last event.
  case close
}

/// The events of an archive since the call of ``Archive/events()``.
///
/// A slow reader misses no kind of event: of each kind the newest waits, which includes what older ones said. The
/// sequence ends after ``ArchiveEvent/close`` or when its task is cancelled. One task reads it; other readers call
/// ``Archive/events()`` for sequences of their own.
public struct ArchiveEvents: AsyncSequence, Sendable {
  public typealias Element = ArchiveEvent

  let subscription: Broadcast<ArchiveEventQueue>.Subscription

  public func makeAsyncIterator() -> Iterator { Iterator(subscription: subscription) }

  /// An iterator that waits for each event.
  public struct Iterator: AsyncIteratorProtocol {
    let subscription: Broadcast<ArchiveEventQueue>.Subscription

    /// Returns the next event; nil after ``ArchiveEvent/close`` or if the task is cancelled.
    public mutating func next() async -> ArchiveEvent? {
      await subscription.next()
    }
  }
}

/// The events that wait for one reader, one of each kind at most.
struct ArchiveEventQueue: BroadcastQueue {
  private var events: [ArchiveEvent] = []

  mutating func add(_ event: ArchiveEvent) {
    events.removeAll { $0.kind == event.kind }
    events.append(event)
  }

  mutating func next() -> ArchiveEvent? { events.isEmpty ? nil : events.removeFirst() }

  var pendingCount: Int { events.count }
}

extension ArchiveEvent {
  fileprivate var kind: Int {
    switch self {
    case .content: 0
    case .update: 1
    case .sync: 2
    case .trouble: 3
    case .close: 4
    }
  }
}

extension Archive {
  /// Returns the archive's events from now on. Listening has begun when this returns.
  ///
  /// Stands for hyperdrive's events `content`, `update`, `sync` and `close`.
  public nonisolated func events() -> ArchiveEvents {
    ArchiveEvents(subscription: broadcast.subscribe(ArchiveEventQueue()))
  }
}
