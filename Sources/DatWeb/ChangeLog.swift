internal import Saga

/// The messages that changed lately, so that a page that was away can ask for what it missed.
///
/// Every change has a number, none smaller than the one before.
struct ChangeLog {
  /// The most changes that are remembered: a page that missed more starts over.
  static let rememberedChanges = 2_000
  /// The most bytes of their keys: writers make keys as long as they like.
  static let rememberedBytes = 1 << 20

  private var changes: [(number: Int, id: Message.ID)] = []
  private var bytes = 0
  /// The number of the last change that is no longer remembered.
  private var lastRemoved = 0

  /// Notes that a message is new, changed or gone.
  mutating func note(_ id: Message.ID, _ number: Int) {
    changes.append((number, id))
    bytes += id.keyBytes.count
    // Cut rarely and by half, so that a change costs constant time on average.
    if changes.count > 2 * Self.rememberedChanges {
      removeOldest(changes.count - Self.rememberedChanges)
    }
    while bytes > Self.rememberedBytes, !changes.isEmpty { removeOldest((changes.count + 1) / 2) }
  }

  /// Removes all changes: every page that knows of an earlier one starts over.
  mutating func removeAll(upTo number: Int) {
    changes = []
    bytes = 0
    lastRemoved = number
  }

  private mutating func removeOldest(_ count: Int) {
    lastRemoved = changes[count - 1].number
    for change in changes[..<count] { bytes -= change.id.keyBytes.count }
    changes.removeFirst(count)
  }

  /// Returns the messages that changed after the change of this number, in that order; nil if that is no
  /// longer remembered.
  func ids(since number: Int) -> [Message.ID]? {
    guard number >= lastRemoved else { return nil }
    var ids: [Message.ID] = []
    var visited: Set<Message.ID> = []
    for change in changes.reversed() {
      guard change.number > number else { break }
      if visited.insert(change.id).inserted { ids.append(change.id) }
    }
    return ids.reversed()
  }
}
