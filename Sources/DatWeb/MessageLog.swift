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

  /// The messages in order, once ``sortIn()`` was called.
  private(set) var entries: [Entry] = []
  /// Those that came out of order since, by key …
  private var fresh: [String: Entry] = [:]
  /// … and the places in ``entries`` of those that were removed. A writer with old times must not have
  /// each message cost as much as the room is large.
  private var gone: Set<Int> = []
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

  var count: Int { orders.count }

  /// The entry of this key.
  subscript(key: String) -> Entry? { fresh[key] ?? index(of: key).map { entries[$0] } }

  /// Adds a message, or replaces the one of the same key in its place.
  ///
  /// - Returns: whether anything is different now.
  @discardableResult
  mutating func put(
    _ message: ChatMessage, seen: Int64, delivery: Delivery? = nil, change: Int
  ) -> Bool {
    if var entry = self[message.key] {
      guard entry.message != message else { return false }
      // Two spellings of a character are equal as text, but not in order: the first one stays.
      let key = entry.message.key
      entry.message = message
      entry.message.key = key
      replace(entry)
    } else {
      let order = Self.order(of: message, seen: seen)
      let entry = Entry(message: message, order: order, delivery: delivery)
      orders[message.key] = order
      if fresh.isEmpty, entries.last.map({ $0.cursor < entry.cursor }) ?? true {
        entries.append(entry)
      } else {
        fresh[message.key] = entry
      }
    }
    note(message.key, change)
    return true
  }

  mutating func remove(_ key: String, change: Int) -> Entry? {
    guard let entry = self[key] else { return nil }
    if let index = index(of: key) {
      gone.insert(index)
      // What was deleted must not stay in memory.
      entries[index].message.text = ""
    }
    fresh[key] = nil
    orders[key] = nil
    note(key, change)
    // Where nobody looks, those that are gone are never more than those that are not.
    if 2 * gone.count > entries.count { sortIn() }
    return entry
  }

  mutating func setDelivery(_ delivery: Delivery, of key: String, change: Int) {
    guard var entry = self[key], entry.delivery != delivery else { return }
    entry.delivery = delivery
    replace(entry)
    note(key, change)
  }

  private mutating func replace(_ entry: Entry) {
    if let index = index(of: entry.message.key) {
      entries[index] = entry
    } else {
      fresh[entry.message.key] = entry
    }
  }

  /// Has ``entries`` and the pages hold what came since, in order.
  mutating func sortIn() {
    guard !fresh.isEmpty || !gone.isEmpty else { return }
    let late = fresh.values.sorted { $0.cursor < $1.cursor }
    var all: [Entry] = []
    all.reserveCapacity(count)
    var next = 0
    for (index, entry) in entries.enumerated() where !gone.contains(index) {
      while next < late.count, late[next].cursor < entry.cursor {
        all.append(late[next])
        next += 1
      }
      all.append(entry)
    }
    all.append(contentsOf: late[next...])
    entries = all
    fresh = [:]
    gone = []
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

  // The following is of what is sorted in.

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

  /// Where the message of this key is in ``entries``; nil where it is not there.
  private func index(of key: String) -> Int? {
    guard fresh[key] == nil, let known = orders.index(forKey: key) else { return nil }
    // By the key as it was put: another spelling of the same text would lead elsewhere.
    return firstIndex(notBefore: Cursor(order: orders[known].value, key: orders[known].key))
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
