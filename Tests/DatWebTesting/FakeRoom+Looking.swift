public import HypercoreCrypto
public import Saga

// What the page asks a room: here about a sorted array.
extension FakeRoom {
  public var messageCount: Int { messages.count }

  public func page(_ position: PagePosition, limit: Int) -> MessagePage? {
    let count = messages.count
    switch position {
    case .newest: return page(max(0, count - limit)..<count)
    case .oldest: return page(0..<min(limit, count))
    case .before(let place):
      let end = messages.firstIndex { !($0.place < place) } ?? count
      return page(max(0, end - limit)..<end)
    case .after(let place):
      let start = messages.firstIndex { place < $0.place } ?? count
      return page(start..<min(count, start + limit))
    case .around(let id):
      guard let middle = messages.firstIndex(where: { $0.id == id }) else { return nil }
      return page(max(0, middle - limit / 2)..<min(count, middle + max(1, limit - limit / 2)))
    }
  }

  private func page(_ range: Range<Int>) -> MessagePage {
    MessagePage(
      messages: Array(messages[range]), isStart: range.lowerBound == 0,
      isEnd: range.upperBound == messages.count)
  }

  public func message(_ id: Message.ID) -> Message? { messages.first { $0.id == id } }

  public func messages(sharingKeyOf id: Message.ID) -> [Message.ID] {
    messages.map(\.id).filter { $0.keyBytes == id.keyBytes && $0 != id }
  }

  public func search(
    _ words: String, before place: Message.Place?, without feeds: Set<PublicKey>, limit: Int
  ) -> [Message] {
    guard let pattern = SearchPattern(words) else { return [] }
    let searched = messages.reversed().filter { message in
      !feeds.contains(message.feed) && place.map { message.place < $0 } ?? true
    }
    return Array(
      searched.filter { pattern.matches($0.text) || pattern.matches($0.username) }.prefix(limit))
  }

  public var authors: [Author] {
    Dictionary(grouping: messages, by: \.feed).compactMap { feed, messages in
      messages.last.map {
        Author(
          feed: feed, username: $0.username, messages: messages.count, last: $0.timestamp)
      }
    }
  }

  public func latestMessage(before place: Message.Place?, without feeds: Set<PublicKey>) -> Message?
  {
    messages.last { message in
      !feeds.contains(message.feed) && place.map { message.place < $0 } ?? true
    }
  }

  public func messageCount(after place: Message.Place?, without feeds: Set<PublicKey>) -> Int {
    messages.count { message in
      !feeds.contains(message.feed) && place.map { $0 < message.place } ?? true
    }
  }
}
