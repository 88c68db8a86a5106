internal import HyperDB
internal import Hypercore
public import HypercoreCrypto

/// The messages that contain some words, newest first, as they are found.
///
/// The search sees the room as it was at the first element. Texts are read from the feeds a few at a time,
/// and the room goes on in between. A search that is abandoned, or whose task is cancelled, ends.
public struct MessageSearch: AsyncSequence, Sendable {
  public typealias Element = Message

  let saga: Saga
  let words: String
  let place: Message.Place?
  let without: Set<PublicKey>

  public func makeAsyncIterator() -> Iterator { Iterator(search: self) }

  /// An iterator that goes through the room once.
  public struct Iterator: AsyncIteratorProtocol {
    private let saga: Saga
    private let pattern: SearchPattern?
    private let without: Set<PublicKey>
    private let first: Message.Place?
    private var walk: SearchWalk?
    private var found: [Message] = []
    private var given = 0

    init(search: MessageSearch) {
      saga = search.saga
      pattern = SearchPattern(search.words)
      without = search.without
      first = search.place
    }

    /// Returns the next message with the words; nil at the end, or if the task is cancelled.
    public mutating func next() async -> Message? {
      guard let pattern, !Task.isCancelled else { return nil }
      while given == found.count {
        if Task.isCancelled { return nil }
        if walk == nil { walk = await saga.searchWalk(before: first) }
        guard let walk, let (messages, next) = await saga.search(pattern, walk, without) else {
          return nil
        }
        self.walk = next
        found = messages
        given = 0
      }
      defer { given += 1 }
      return found[given]
    }
  }
}

/// A search in progress: the order of the messages, and its position in it.
struct SearchWalk: Sendable {
  let order: RecordOrder
  var place: RecordOrder.Place
}

extension Saga {
  /// Returns the messages with these words in their text or name, newest first. Case and simple accents are
  /// ignored.
  ///
  /// ```swift
  /// for await message in room.search("ferry").prefix(20) { print(message.text) }
  /// ```
  ///
  /// - Parameters:
  ///   - words: the words to look for, as they follow each other.
  ///   - place: the place before which messages are searched; nil for all.
  ///   - feeds: the feeds whose messages are left out.
  public nonisolated func search(
    _ words: String, before place: Message.Place? = nil, without feeds: Set<PublicKey> = []
  ) -> MessageSearch {
    MessageSearch(saga: self, words: words, place: place, without: feeds)
  }

  func searchWalk(before place: Message.Place?) -> SearchWalk {
    SearchWalk(
      order: index.order, place: place.map { index.place(of: $0) } ?? index.order.end)
  }

  /// The most messages that are searched in one turn of the executor, and about the most bytes of texts: some
  /// milliseconds.
  private static let messagesAtOnce = 512
  private static let searchedAtOnce = 1 << 20

  /// Searches the next messages; nil at the end.
  func search(
    _ pattern: SearchPattern, _ walk: SearchWalk, _ without: Set<PublicKey>
  ) -> (found: [Message], next: SearchWalk)? {
    guard options.kind == .messages, !isClosed else { return nil }
    var walk = walk
    var found: [Message] = []
    var (count, bytes) = (0, 0)
    let left = Set(index.feeds.indices.filter { without.contains(index.feeds[$0].key) })
    while count < Self.messagesAtOnce, bytes < Self.searchedAtOnce {
      guard let record = walk.order.previous(&walk.place) else {
        return count == 0 ? nil : (found, walk)
      }
      count += 1
      guard !left.contains(Int(index.record(record).feed)), let message = message(of: record) else {
        continue
      }
      bytes += message.text.utf8.count
      if pattern.matches(message.text) || pattern.matches(message.username) {
        found.append(message)
      }
    }
    return (found, walk)
  }
}
