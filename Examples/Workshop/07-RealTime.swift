import Foundation
import HyperDB

// Exercise 7: messages in real time. Read what is stored, then follow what comes.

extension Chat {
  /// Starts following the room. Returns when every stored message is in `messages`.
  public func initialize() async {
    let (stored, all) = AsyncStream<Void>.makeStream()
    follower = Task { [weak self, db] in
      // Each entry comes once, whatever the order in which the writers' feeds arrive. The cost is that of the
      // new entries, never of the whole history.
      for await update in db.updates() {
        switch update {
        case .entries(let entries): for entry in entries { await self?.take(entry) }
        case .caughtUp: all.finish()
        default: break
        }
      }
      all.finish()
    }
    for await _ in stored {}
  }

  /// Returns the events from now on.
  public func events() -> AsyncStream<Event> {
    let (stream, continuation) = AsyncStream<Event>.makeStream()
    listeners.append(continuation)
    return stream
  }

  func tell(_ event: Event) { for listener in listeners { listener.yield(event) } }

  /// Takes an entry of the database, whoever wrote it; anything but a message is skipped.
  func take(_ entry: DatabaseNode) {
    guard entry.key.hasPrefix("messages/"), messages[entry.key] == nil, let value = entry.value,
      let message = try? JSONDecoder().decode(Message.self, from: Data(value))
    else { return }
    messages[entry.key] = message
    tell(.message(message))
  }
}
