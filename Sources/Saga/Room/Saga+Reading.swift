internal import HyperDB
internal import Hypercore
public import HypercoreCrypto

/// A page of a room's messages.
public struct MessagePage: Hashable, Sendable {
  /// The messages, in order.
  public var messages: [Message]
  /// True if no message is older than the first one here.
  public var isStart: Bool
  /// True if no message is newer than the last one here.
  public var isEnd: Bool

  /// Makes a page of its parts.
  public init(messages: [Message], isStart: Bool, isEnd: Bool) {
    self.messages = messages
    self.isStart = isStart
    self.isEnd = isEnd
  }
}

/// The part of a room that a ``MessagePage`` shows.
public enum PagePosition: Hashable, Sendable {
  /// The newest messages.
  case newest
  /// The oldest messages.
  case oldest
  /// The messages just before a place.
  case before(Message.Place)
  /// The messages just after a place.
  case after(Message.Place)
  /// A message, with others on both sides.
  case around(Message.ID)
}

/// A feed that wrote messages.
public struct Author: Hashable, Sendable {
  /// The key of the feed.
  public var feed: PublicKey
  /// The name in its latest message; a label, not an identity.
  public var username: String
  /// The number of its messages that are shown.
  public var messages: Int
  /// The time of its latest message, in milliseconds since 1970 by its own clock.
  public var last: Int64

  /// Makes an author of these parts.
  public init(feed: PublicKey, username: String, messages: Int, last: Int64) {
    self.feed = feed
    self.username = username
    self.messages = messages
    self.last = last
  }
}

// The content of the room. Texts are read from the feeds on demand.
extension Saga {
  /// True if all stored messages are in the room; false while it is being read.
  public var isLoaded: Bool { isReady }

  /// The number of messages.
  public var messageCount: Int { options.kind == .messages ? index.count : 0 }

  /// All messages, sorted by time, key and feed; none in a room of operations.
  ///
  /// Every text is read and returned at once: for a room of unknown size see
  /// ``messages(before:limit:)``.
  public var messages: [Message] { options.kind == .messages ? allShown : [] }

  var allShown: [Message] {
    var messages: [Message] = []
    messages.reserveCapacity(index.count)
    let order = index.order
    var place = order.start
    while let record = order.next(&place) {
      if let message = message(of: record) { messages.append(message) }
    }
    return messages
  }

  /// Returns the message of this name; nil if it is not there or is deleted.
  public func message(_ id: Message.ID) -> Message? {
    guard options.kind == .messages, let record = index.find(id) else { return nil }
    return message(of: record)
  }

  /// Returns the messages just before a place, in order; nil for the newest of all.
  ///
  /// ```swift
  /// var page = await room.messages(limit: 50)
  /// while let first = page.first {
  ///   show(page)
  ///   page = await room.messages(before: first.place, limit: 50)
  /// }
  /// ```
  public func messages(before place: Message.Place? = nil, limit: Int) -> [Message] {
    page(place.map(PagePosition.before) ?? .newest, limit: limit)?.messages ?? []
  }

  /// Returns the messages just after a place, in order; nil for the oldest of all.
  public func messages(after place: Message.Place?, limit: Int) -> [Message] {
    page(place.map(PagePosition.after) ?? .oldest, limit: limit)?.messages ?? []
  }

  /// Returns a page of the room; nil if its middle is a message that is not there.
  ///
  /// - Parameter position: the page's place in the room.
  /// - Parameter limit: the most messages on the page.
  public func page(_ position: PagePosition, limit: Int) -> MessagePage? {
    guard options.kind == .messages else {
      return MessagePage(messages: [], isStart: true, isEnd: true)
    }
    let count = index.count
    let limit = min(max(0, limit), count)
    switch position {
    case .newest: return page((count - limit)..<count)
    case .oldest: return page(0..<limit)
    case .before(let place):
      let end = index.order.position(of: index.place(of: place))
      return page(max(0, end - limit)..<end)
    case .after(let place):
      let start = firstPosition(after: place)
      return page(start..<min(count, start + limit))
    case .around(let id):
      guard let record = index.find(id), index.record(record).isShown else { return nil }
      let place = Message.Place(timestamp: index.record(record).timestamp, id: id)
      let middle = index.order.position(of: index.place(of: place))
      return page(max(0, middle - limit / 2)..<min(count, middle + max(1, limit - limit / 2)))
    }
  }

  /// Returns the number of messages up to and including a place.
  private func firstPosition(after place: Message.Place) -> Int {
    var start = index.place(of: place)
    let position = index.order.position(of: start)
    guard let record = index.order.next(&start), index.isRecord(record, at: place) else {
      return position
    }
    return position + 1
  }

  private func page(_ range: Range<Int>) -> MessagePage {
    let order = index.order
    var page = MessagePage(
      messages: [], isStart: range.lowerBound == 0, isEnd: range.upperBound == order.count)
    var place = order.place(at: range.lowerBound)
    for _ in range {
      guard let record = order.next(&place) else { break }
      if let message = message(of: record) { page.messages.append(message) }
    }
    return page
  }

  /// Returns the messages of other feeds under the key of a message.
  package func messages(sharingKeyOf id: Message.ID) -> [Message.ID] {
    guard let record = index.find(id) else { return [] }
    return index.sharing(record).map {
      Message.ID(keyBytes: id.keyBytes, feed: index.feed(of: index.record($0)))
    }
  }

  /// The feeds with messages that are shown, in no order.
  public var authors: [Author] {
    guard options.kind == .messages else { return [] }
    return index.feeds.compactMap { feed in
      guard feed.count > 0, let newest = index.newest(of: feed.key) else { return nil }
      let message = message(of: newest)
      return Author(
        feed: feed.key, username: message?.username ?? "", messages: feed.count,
        last: index.record(newest).timestamp)
    }
  }

  /// Returns the latest message of a feed.
  public func latestMessage(of feed: PublicKey) -> Message? {
    guard options.kind == .messages else { return nil }
    return index.newest(of: feed).flatMap { message(of: $0) }
  }

  /// Returns the latest message before a place, or of all for nil, by none of these feeds.
  public func latestMessage(
    before place: Message.Place? = nil, without feeds: Set<PublicKey>
  ) -> Message? {
    guard options.kind == .messages else { return nil }
    let order = index.order
    let left = Set(index.feeds.indices.filter { feeds.contains(index.feeds[$0].key) })
    var next = place.map { index.place(of: $0) } ?? order.end
    while let record = order.previous(&next) {
      guard !left.contains(Int(index.record(record).feed)) else { continue }
      if let message = message(of: record) { return message }
    }
    return nil
  }

  /// Returns the number of messages after a place by none of these feeds.
  public func messageCount(after place: Message.Place?, without feeds: Set<PublicKey>) -> Int {
    guard options.kind == .messages else { return 0 }
    let order = index.order
    let left = Set(index.feeds.indices.filter { feeds.contains(index.feeds[$0].key) })
    var next = order.place(at: place.map(firstPosition) ?? 0)
    var count = 0
    while let record = order.next(&next) {
      if !left.contains(Int(index.record(record).feed)) { count += 1 }
    }
    return count
  }

  // MARK: Texts

  /// Returns the message of a record as it is shown; nil if it is not, or if its block is no longer here.
  func message(of record: UInt32) -> Message? {
    let found = index.record(record)
    return found.isShown ? message(of: record, at: found.seq) : nil
  }

  /// Returns the message of a record as it is in a block.
  func message(of record: UInt32, at seq: UInt64) -> Message? {
    let found = index.record(record)
    let feed = index.feed(of: found)
    let isEdited = found.isEdited
    if let content = recent.content(record, at: seq), let key = index.keys.key(found.key) {
      return Message(
        Message.ID(keyBytes: key, feed: feed), content, seq: seq, isEdited: isEdited,
        sharesKey: index.sharesKey(record))
    }
    countRead()
    guard let stored = db.assumeIsolated({ $0.content(of: feed, at: seq) }),
      let content = stored.value.flatMap(options.kind.content)
    else { return nil }
    return Message(
      Message.ID(keyBytes: stored.key, feed: feed), content, seq: seq, isEdited: isEdited,
      sharesKey: index.sharesKey(record))
  }

  /// Counts the blocks that are read, and from time to time has the feeds release their cached trees: a walk
  /// through a large room goes through all of its feeds.
  func countRead(_ count: Int = 1) {
    blocksRead += count
    guard blocksRead >= Self.readsBetweenReleases else { return }
    blocksRead = 0
    db.assumeIsolated { $0.releaseCaches() }
  }

  private static let readsBetweenReleases = 8_192
}
