import Foundation
import HyperDB

// Exercise 6: write messages, each under a key of its own.

extension Chat {
  /// Writes a message.
  ///
  /// - Returns: its key.
  @discardableResult
  public func writeMessage(_ text: String) async throws -> String {
    let key = "messages/\(UUID().uuidString)"
    let message = Message(key: key, message: text, username: username, timestamp: now())
    let entry = try await db.put(key, message, as: .json())
    // Exercise 7: it is among the messages when this returns.
    take(entry)
    return key
  }
}
