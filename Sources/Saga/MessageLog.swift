internal import HypercoreCrypto

/// The messages of a room, from the entries of all its feeds in whatever order they come.
///
/// One message a key. Shown is the causally first entry of the key; of several that did not know of
/// each other the one of the lowest feed key, flagged. A later value of the same feed is an edit; of
/// another feed a conflict, which is flagged and not shown. Where the author deletes, it is removed.
/// The outcome does not depend on the order of arrival, and each entry costs what is new.
struct MessageLog {
  /// An entry under the room's prefix, as far as it matters here.
  struct Entry {
    var key: String
    var feed: PublicKey
    /// The number of the feed in ``clock``.
    var feedNumber: Int
    var seq: UInt64
    var clock: [UInt64]
    /// Nil for a deletion, or a value that is no message.
    var content: MessageContent?
    var isDeletion: Bool
  }

  /// What an entry changed.
  enum Change: Hashable {
    case added(Message)
    case edited(Message)
    case removed(Message)
    case conflicted(Message)
    case unreadable(key: String, feed: PublicKey)
  }

  /// An entry without its key.
  private struct Version {
    var feed: PublicKey
    var feedNumber: Int
    var seq: UInt64
    var clock: [UInt64]
    var content: MessageContent?
    var isDeletion: Bool

    /// Whether the writer of `other` knew of this one.
    func precedes(_ other: Version) -> Bool {
      if feedNumber == other.feedNumber { return seq < other.seq }
      return feedNumber < other.clock.count && other.clock[feedNumber] > seq
    }
  }

  /// What is known of a key.
  private final class Record {
    enum Entries {
      /// A single one, which is shown as it is: what is not here is in ``shown``.
      case one(feedNumber: Int, clock: [UInt64])
      case several([Version])
    }

    var entries: Entries
    /// What is shown.
    var shown: Message?

    init(_ entries: Entries, _ shown: Message?) {
      self.entries = entries
      self.shown = shown
    }

    var versions: [Version] {
      switch (entries, shown) {
      case (.several(let versions), _): versions
      case (.one(let feedNumber, let clock), let shown?):
        [
          Version(
            feed: shown.feed, feedNumber: feedNumber, seq: shown.seq, clock: clock,
            content: MessageContent(
              text: shown.text, username: shown.username, timestamp: shown.timestamp),
            isDeletion: false)
        ]
      case (.one, nil): []
      }
    }
  }

  private var records: [String: Record] = [:]
  /// The clock of each feed's last entry, for the next to share: most know of nothing new by others.
  private var clocks: [Int: [UInt64]] = [:]
  /// What is shown, sorted by time, then key …
  private var sorted: [Message] = []
  /// … but for these by key, which are not sorted in yet: the feeds of a room that is joined come side
  /// by side …
  private var fresh: [String: Message] = [:]
  /// … and without those at these places in ``sorted``. They stay until the next merge: a writer who
  /// edits or deletes again and again must not have each time cost as much as the room is large.
  private var gone: Set<Int> = []

  /// What is shown, sorted by time, then key.
  var messages: [Message] { fresh.isEmpty && gone.isEmpty ? sorted : merged() }

  /// How many messages are shown.
  var count: Int { sorted.count - gone.count + fresh.count }

  subscript(key: String) -> Message? { records[key]?.shown }

  mutating func add(_ entry: Entry) -> [Change] {
    let version = Version(
      feed: entry.feed, feedNumber: entry.feedNumber, seq: entry.seq,
      clock: shared(entry.clock, of: entry.feedNumber), content: entry.content,
      isDeletion: entry.isDeletion)
    guard let record = records[entry.key] else { return first(version, of: entry.key) }
    var changes: [Change] = []
    if entry.content == nil, !entry.isDeletion {
      changes.append(.unreadable(key: entry.key, feed: entry.feed))
    }
    let before = record.shown
    let versions = Self.adding(version, to: record.versions)
    // Two spellings of a character are equal as text, but not in order: what is shown keeps its own.
    let after = Self.message(for: before?.key ?? entry.key, versions)
    record.entries = .several(versions)
    guard before != after else { return changes }
    record.shown = after
    replace(before, by: after)
    switch (before, after) {
    case (nil, let after?):
      changes.append(.added(after))
    case (let before?, nil): changes.append(.removed(before))
    case (let before?, let after?):
      let sameText =
        before.text == after.text && before.feed == after.feed && before.seq == after.seq
      changes.append(sameText ? .conflicted(after) : .edited(after))
    case (nil, nil): break
    }
    return changes
  }

  private mutating func first(_ version: Version, of key: String) -> [Change] {
    guard let content = version.content else {
      records[key] = Record(.several(Self.adding(version, to: [])), nil)
      return version.isDeletion ? [] : [.unreadable(key: key, feed: version.feed)]
    }
    let message = Message(
      key: key, text: content.text, username: content.username, timestamp: content.timestamp,
      feed: version.feed, seq: version.seq)
    records[key] = Record(
      .one(feedNumber: version.feedNumber, clock: version.clock), message)
    insert(message)
    return [.added(message)]
  }

  /// With one more entry of a key. What matters of each feed's is the first that can be read and the
  /// last, so that a key that is overwritten without end costs no more each time.
  private static func adding(_ version: Version, to versions: [Version]) -> [Version] {
    guard version.content != nil || version.isDeletion else { return versions }
    var (own, kept) = ([version], [Version]())
    for known in versions {
      if known.feedNumber == version.feedNumber { own.append(known) } else { kept.append(known) }
    }
    own.sort { $0.seq < $1.seq }
    let first = own.first { $0.content != nil }
    if let first { kept.append(first) }
    if let last = own.last, last.seq != first?.seq { kept.append(last) }
    return kept
  }

  /// The clock, in the memory of the feed's last one where that says the same of other feeds. What it
  /// says of its own doesn't matter here.
  private mutating func shared(_ clock: [UInt64], of feedNumber: Int) -> [UInt64] {
    if let last = clocks[feedNumber], last.count == clock.count,
      last.indices.allSatisfy({ $0 == feedNumber || last[$0] == clock[$0] })
    {
      return last
    }
    clocks[feedNumber] = clock
    return clock
  }

  /// What is to be shown for a key, from all its entries.
  private static func message(for key: String, _ all: [Version]) -> Message? {
    // The first readable entry: known to all the others, or of the lowest feed among those that did
    // not know of any other.
    let readable = all.filter { $0.content != nil }
    let firsts = readable.filter { one in
      !readable.contains { $0.feed != one.feed || $0.seq != one.seq ? $0.precedes(one) : false }
    }
    guard let first = firsts.min(by: { $0.feed.bytes.lexicographicallyPrecedes($1.feed.bytes) })
    else { return nil }
    let own = all.filter {
      $0.feed == first.feed && $0.seq >= first.seq && ($0.content != nil || $0.isDeletion)
    }
    guard let latest = own.max(by: { $0.seq < $1.seq }), let content = latest.content else {
      return nil
    }
    var message = Message(
      key: key, text: content.text, username: content.username, timestamp: content.timestamp,
      feed: first.feed, seq: latest.seq)
    message.isEdited = latest.seq != first.seq
    message.isConflicted = readable.contains { $0.feed != first.feed }
    return message
  }

  // MARK: Order

  private static func areInOrder(_ one: Message, _ other: Message) -> Bool {
    if one.timestamp != other.timestamp { return one.timestamp < other.timestamp }
    return one.key.utf8.lexicographicallyPrecedes(other.key.utf8)
  }

  /// Where a message is, or belongs, in ``sorted``.
  private func place(of message: Message) -> Int {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if Self.areInOrder(sorted[middle], message) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private mutating func insert(_ message: Message) {
    // New messages nearly always go to the end.
    if fresh.isEmpty, sorted.last.map({ Self.areInOrder($0, message) }) ?? true {
      sorted.append(message)
    } else {
      fresh[message.key] = message
    }
  }

  /// Shows `after` and no longer `before`; either may be none.
  private mutating func replace(_ before: Message?, by after: Message?) {
    if let before, fresh.removeValue(forKey: before.key) == nil {
      let place = place(of: before)
      if let after, !Self.areInOrder(before, after), !Self.areInOrder(after, before) {
        // The usual edit: the time stays, and so does the place.
        sorted[place] = after
        return
      }
      gone.insert(place)
      // What was deleted must not stay in memory.
      sorted[place].text = ""
    }
    if let after { insert(after) }
    // Where nobody asks for the messages, those that are gone are never more than those that are not.
    if 2 * gone.count > sorted.count { sortIn() }
  }

  /// Has ``messages`` cost nothing until more messages come.
  mutating func sortIn() {
    guard !fresh.isEmpty || !gone.isEmpty else { return }
    sorted = merged()
    fresh = [:]
    gone = []
  }

  private func merged() -> [Message] {
    let late = fresh.values.sorted(by: Self.areInOrder)
    var all: [Message] = []
    all.reserveCapacity(count)
    var next = 0
    for (place, message) in sorted.enumerated() where !gone.contains(place) {
      while next < late.count, Self.areInOrder(late[next], message) {
        all.append(late[next])
        next += 1
      }
      all.append(message)
    }
    all.append(contentsOf: late[next...])
    return all
  }
}
