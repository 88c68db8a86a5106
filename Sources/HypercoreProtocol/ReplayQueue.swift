/// Messages that waited for their channel and are returned before anything newer.
struct ReplayQueue {
  private var messages: [(channel: ChannelID, message: Message)] = []
  private var next = 0

  var isEmpty: Bool { messages.isEmpty }

  mutating func append(_ message: Message, on channel: ChannelID) {
    messages.append((channel, message))
  }

  mutating func popFirst() -> (channel: ChannelID, message: Message)? {
    guard next < messages.count else { return nil }
    defer {
      next += 1
      if next == messages.count { removeAll() }
    }
    return messages[next]
  }

  mutating func removeAll() {
    messages = []
    next = 0
  }
}
