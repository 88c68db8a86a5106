internal import Saga

/// The numbered changes of a room, so that a page is sent those since it last looked.
///
/// Changes that happen together share a number: they are noted one by one, and ``commit()`` makes them the last ones.
struct Revisions {
  /// A part of the state beside the messages. If it has changed, a page is sent all of it.
  enum Part {
    case people, requests, me, notices, problem, fork, loaded
  }

  /// The changes that a page has not seen.
  struct Changes {
    /// The number of the last one.
    let last: Int
    let messages: [Message.ID]
    let parts: Set<Part>
  }

  /// The number of the last change.
  private(set) var last = 0
  private var messages = ChangeLog()
  /// The number of the last change to each part.
  private var parts: [Part: Int] = [:]
  /// True if changes were noted that have yet to be committed.
  private var hasNoted = false

  private var next: Int { last + 1 }

  /// Notes that a message is new, changed or gone.
  mutating func note(_ id: Message.ID) {
    messages.note(id, next)
    hasNoted = true
  }

  /// Notes that a part of the state has changed.
  mutating func note(_ part: Part) {
    parts[part] = next
    hasNoted = true
  }

  /// Notes that all messages may have changed: every page starts over.
  mutating func noteAllMessages() {
    messages.removeAll(upTo: next)
    hasNoted = true
  }

  /// Makes the changes that were noted the last ones.
  ///
  /// - Returns: true if there are any, of which the pages are to be notified.
  mutating func commit() -> Bool {
    guard hasNoted else { return false }
    advance()
    return true
  }

  /// Counts a change of something that no page is sent with the room.
  mutating func advance() {
    last = next
    hasNoted = false
  }

  /// Returns the changes after the one of this number; nil if there is no such number, or so many messages have
  /// changed since that they are no longer remembered.
  func changes(since number: Int) -> Changes? {
    guard number <= last, let ids = messages.ids(since: number) else { return nil }
    return Changes(
      last: last, messages: ids, parts: Set(parts.filter { $0.value > number }.keys))
  }
}
