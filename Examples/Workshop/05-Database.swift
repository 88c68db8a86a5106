import Foundation
import HyperDB
import HypercoreCrypto
import RandomAccessStorage

// Exercise 5: a database of many writers, and the beginning of the chat that the next exercises grow.

/// A chat room: a database of messages, and the users who are there.
public actor Chat {
  /// A message as it is stored.
  public struct Message: Codable, Hashable, Sendable {
    public var key: String
    public var message: String
    public var username: String
    public var timestamp: Int64
  }

  /// An event in the room; exercises 7 and 9 send them.
  public enum Event: Hashable, Sendable {
    case message(Message)
    case join(User)
    case leave(User)
  }

  public nonisolated let db: HyperDB
  public nonisolated let username: String
  /// The time at which this chat was opened, in milliseconds since 1970.
  public nonisolated let timestamp: Int64
  /// The other users, and the time since which each is here.
  public internal(set) var users: [String: Date] = [:]
  /// The messages by key.
  public internal(set) var messages: [String: Message] = [:]

  var listeners: [AsyncStream<Event>.Continuation] = []
  var follower: Task<Void, Never>?

  /// - Parameter key: the room to join; nil for a new one.
  public init(storage: any StorageProvider, key: PublicKey? = nil, username: String) async throws {
    db = try await HyperDB.open(storage: storage, key: key)
    self.username = username
    timestamp = now()
  }
}

/// Returns the milliseconds since 1970, as JavaScript counts time.
func now() -> Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
