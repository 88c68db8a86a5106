internal import Hypercore

/// The stored messages that a reader of ``Saga/events(stored:)`` receives first.
public enum StoredMessages: Hashable, Sendable {
  /// Everything, from the oldest on.
  case all
  /// The newest of them, in order.
  case newest(Int)
  /// Nothing.
  case none
}

/// The events that wait for one reader. Messages are named by their records, and their texts are read upon
/// delivery, so that a slow reader takes no memory for them.
///
/// Of a message at most one event waits: the one that leads from what the reader knows to what is shown now.
/// A person who came and went unseen is not mentioned. Of all other events the newest 4,096 wait.
struct RoomQueue: BroadcastQueue {
  enum Event: Sendable {
    case change(RoomIndex.Change)
    case other(SagaEvent)
    /// A signal to look at something that is not in the queue.
    case wake
  }

  private enum Item {
    case change(UInt32)
    // Indirect, so that an item, of which there may be many, is small.
    indirect case other(SagaEvent)
  }

  static let otherLimit = 4_096

  private var items: [Item] = []
  private var position = 0
  /// The pending change of each record.
  private var changes: [UInt32: RoomIndex.Change] = [:]
  private var otherCount = 0
  private var isWoken = false

  var pendingCount: Int { isWoken ? 1 + items.count - position : items.count - position }

  /// The number of events that take memory, those that were read included; for tests.
  var heldCount: Int { items.count }

  mutating func add(_ event: Event) {
    switch event {
    case .wake: isWoken = true
    case .change(let change): add(change)
    case .other(let event): add(event)
    }
  }

  private mutating func add(_ change: RoomIndex.Change) {
    guard let record = change.record else { return }
    switch (changes[record], change) {
    case (nil, _):
      changes[record] = change
      items.append(.change(record))
    case (.added, .edited), (.edited, .edited): break
    case (.added, .removed): changes[record] = nil
    case (.edited, .removed): changes[record] = change
    case (.removed, .added): changes[record] = .edited(record)
    default: changes[record] = change
    }
  }

  private mutating func add(_ event: SagaEvent) {
    switch event {
    case .leave(let user):
      if let place = lastItem(where: {
        if case .join(let one) = $0 { one.key == user.key } else { false }
      }) {
        return remove(at: place)
      }
    case .join(let user):
      if let place = lastItem(where: { $0 == .leave(user) }) { return remove(at: place) }
    case .sent:
      if case .other(.sent) = items[position...].last {
        items[items.count - 1] = .other(event)
        return
      }
    default: break
    }
    items.append(.other(event))
    otherCount += 1
    if otherCount > Self.otherLimit,
      let oldest = items[position...].firstIndex(where: {
        if case .other = $0 { true } else { false }
      })
    {
      remove(at: oldest)
    }
  }

  private func lastItem(where isRight: (SagaEvent) -> Bool) -> Int? {
    items[position...].lastIndex {
      if case .other(let event) = $0 { isRight(event) } else { false }
    }
  }

  private mutating func remove(at place: Int) {
    items.remove(at: place)
    otherCount -= 1
  }

  /// Drops the pending changes: the reader is about to learn of them by a look at the room.
  mutating func dropChanges() {
    changes = [:]
    items = items[position...].filter { if case .other = $0 { true } else { false } }
    position = 0
  }

  /// Drops pending joins, leaves, requests and forks: the reader is about to receive the present users and
  /// all forks.
  mutating func dropPresence() {
    items = items[position...].filter {
      switch $0 {
      case .other(.join), .other(.leave), .other(.request), .other(.forked): false
      default: true
      }
    }
    position = 0
    otherCount = items.count { if case .other = $0 { true } else { false } }
  }

  /// Removes the next events, fewer than `limit` only if no more wait.
  mutating func next(upTo limit: Int) -> [Event] {
    isWoken = false
    var events: [Event] = []
    while events.count < limit, let event = next() { events.append(event) }
    return events
  }

  mutating func next() -> Event? {
    while position < items.count {
      let item = items[position]
      position += 1
      if position == items.count || position > 1024 && 2 * position > items.count {
        items.removeFirst(position)
        position = 0
      }
      switch item {
      case .other(let event):
        otherCount -= 1
        return .other(event)
      case .change(let record):
        if let change = changes.removeValue(forKey: record) { return .change(change) }
      }
    }
    return nil
  }
}

extension RoomIndex.Change {
  /// The record in question.
  var record: UInt32? {
    switch self {
    case .added(let record), .edited(let record), .removed(let record, _): record
    case .none, .unreadable: nil
    }
  }
}

/// The progress of one reader of a room's events.
///
/// Unchecked, with this proof: the subscription is Sendable, `stored` never changes, and all else is touched
/// on the room's executor only.
final class RoomReader: @unchecked Sendable {
  let subscription: Broadcast<RoomQueue>.Subscription
  let stored: StoredMessages
  /// True if it has received the present users.
  var knowsPresence = false
  /// True if it was notified that all stored messages were delivered.
  var isReady = false
  /// The stored messages, as they were when the reader started on them, and its position in them.
  var walk: (order: RecordOrder, place: RecordOrder.Place)?
  /// Events taken for ``SagaEvents/next()``, and the number of them that were returned.
  var ahead: [SagaEvent] = []
  var given = 0

  init(_ subscription: Broadcast<RoomQueue>.Subscription, stored: StoredMessages) {
    self.subscription = subscription
    self.stored = stored
  }
}
