internal import HypercoreCrypto

/// Whether somebody else has our own message.
enum Delivery: String, Sendable {
  /// Written here; no peer has asked for it yet.
  case waiting
  /// Its block went to a peer that had asked for it.
  case sent
}

/// A place between two messages: the order number and the key of the one it was taken from.
struct Cursor: Sendable, Hashable {
  var order: Int64
  var key: String

  static func < (left: Cursor, right: Cursor) -> Bool {
    if left.order != right.order { return left.order < right.order }
    return left.key.utf8.lexicographicallyPrecedes(right.key.utf8)
  }
}

/// The messages of a room in the order they are shown in.
///
/// That order is the writers' time, then the key, with one exception: a time after the moment at
/// which the message was first seen here counts as that moment, so that a false clock can't pin a
/// message below all that will ever follow. Every change is given a number by the caller, each
/// larger than the last, so that a page that was away can ask for what changed since.
struct MessageLog {
  struct Entry {
    var message: ChatMessage
    /// The place in the log; not later than when the message was first seen.
    var order: Int64
    var delivery: Delivery?

    var cursor: Cursor { Cursor(order: order, key: message.key) }
  }

  /// How many changes are remembered; a page that missed more starts over.
  static let rememberedChanges = 2_000

  private(set) var entries: [Entry] = []
  private var orders: [String: Int64] = [:]
  /// Which message each change was about.
  private var changed: [(number: Int, key: String)] = []
  /// The number of the last change that is not in ``changed`` any more.
  private var forgotten = 0

  /// Takes the messages that are there at the start: one sort for all of them.
  init(_ messages: [ChatMessage], seen: Int64) {
    entries.reserveCapacity(messages.count)
    for message in messages where orders[message.key] == nil {
      let order = Self.order(of: message, seen: seen)
      orders[message.key] = order
      entries.append(Entry(message: message, order: order))
    }
    entries.sort { $0.cursor < $1.cursor }
  }

  var count: Int { entries.count }

  /// The entry of this key.
  subscript(key: String) -> Entry? { index(of: key).map { entries[$0] } }

  /// Adds a message, or replaces the one of the same key in its place.
  ///
  /// - Returns: whether anything is different now.
  @discardableResult
  mutating func put(
    _ message: ChatMessage, seen: Int64, delivery: Delivery? = nil, change: Int
  ) -> Bool {
    if let index = index(of: message.key) {
      guard entries[index].message != message else { return false }
      entries[index].message = message
    } else {
      let order = Self.order(of: message, seen: seen)
      let entry = Entry(message: message, order: order, delivery: delivery)
      orders[message.key] = order
      entries.insert(entry, at: firstIndex(notBefore: entry.cursor))
    }
    note(message.key, change)
    return true
  }

  mutating func remove(_ key: String, change: Int) -> Entry? {
    guard let index = index(of: key) else { return nil }
    orders[key] = nil
    note(key, change)
    return entries.remove(at: index)
  }

  mutating func setDelivery(_ delivery: Delivery, of key: String, change: Int) {
    guard let index = index(of: key), entries[index].delivery != delivery else { return }
    entries[index].delivery = delivery
    note(key, change)
  }

  /// What changed after the change of this number: nil when that is not remembered any more.
  func changes(since number: Int) -> (entries: [Entry], removed: [String])? {
    guard number >= forgotten else { return nil }
    var present: [Entry] = []
    var removed: [String] = []
    var visited: Set<String> = []
    for change in changed.reversed() {
      guard change.number > number else { break }
      guard visited.insert(change.key).inserted else { continue }
      if let entry = self[change.key] { present.append(entry) } else { removed.append(change.key) }
    }
    return (present.reversed(), removed)
  }

  /// At most `limit` entries just before a place; the newest ones for nil.
  func page(before cursor: Cursor?, limit: Int) -> ArraySlice<Entry> {
    let end = cursor.map(firstIndex(notBefore:)) ?? entries.count
    return entries[max(0, end - limit)..<end]
  }

  /// At most `limit` entries just after a place; the oldest ones for nil.
  func page(after cursor: Cursor?, limit: Int) -> ArraySlice<Entry> {
    var start = cursor.map(firstIndex(notBefore:)) ?? 0
    if let cursor, start < entries.count, entries[start].cursor == cursor { start += 1 }
    return entries[start..<min(entries.count, start + limit)]
  }

  /// The index of the first entry at or after a place.
  func firstIndex(notBefore cursor: Cursor) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].cursor < cursor { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func index(of key: String) -> Int? {
    guard let order = orders[key] else { return nil }
    return firstIndex(notBefore: Cursor(order: order, key: key))
  }

  private mutating func note(_ key: String, _ number: Int) {
    changed.append((number, key))
    // Cut rarely and by half, so that a change costs constant time on average.
    if changed.count > 2 * Self.rememberedChanges {
      let cut = changed.count - Self.rememberedChanges
      forgotten = changed[cut - 1].number
      changed.removeFirst(cut)
    }
  }

  private static func order(of message: ChatMessage, seen: Int64) -> Int64 {
    min(max(message.timestamp, 0), seen)
  }
}
