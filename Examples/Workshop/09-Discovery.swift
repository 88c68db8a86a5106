import DatSwarm
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage

// Exercise 9: find each other. Each end of a connection announces its user, and that user is let in.

extension Chat {
  /// The data that a peer sends about its user. Nothing in it is proven.
  public struct User: Codable, Hashable, Sendable {
    /// Bytes as JavaScript prints a buffer.
    public struct Key: Codable, Hashable, Sendable {
      public var type = "Buffer"
      public var data: [UInt8]
    }

    public var key: Key
    public var username: String
    public var timestamp: Int64

    public init(key: PublicKey, username: String, timestamp: Int64) {
      self.key = Key(data: key.bytes)
      self.username = username
      self.timestamp = timestamp
    }
  }

  /// Returns one new connection, which announces this user to the other side.
  public func replicate() async throws -> ReplicationStream {
    var options = ReplicationOptions.live
    let user = User(key: db.localKey, username: username, timestamp: timestamp)
    options.userData = Array(try JSONEncoder().encode(user))
    return try await db.replicate(options)
  }

  /// Meets the user at the other end: authorizes it, and reports its arrival and its departure.
  /// Returns when the connection has ended.
  public func connect(_ peer: some Peer) async throws {
    guard let data = await peer.remoteUserData else { throw ChatError.noUserData }
    let user = try JSONDecoder().decode(User.self, from: Data(data))
    // Exactly 32 bytes: an authorization lasts for ever.
    guard let key = PublicKey(bytes: user.key.data) else { throw ChatError.noUserData }
    users[user.username] = Date()
    tell(.join(user))
    try await authorize(key)
    await peer.untilEnded()
    users[user.username] = nil
    tell(.leave(user))
  }
}

public enum ChatError: Error { case noUserData }

/// The other end of a connection.
public protocol Peer: Sendable {
  /// Its data about its user; nil if it sends none.
  var remoteUserData: [UInt8]? { get async }
  /// Returns when the connection has ended.
  func untilEnded() async
}

extension ReplicationStream: Peer {
  public var remoteUserData: [UInt8]? { get async { await handshake()?.userData } }
  public func untilEnded() async { try? await finished() }
}

/// Opens a chat and connects it to all who look for the same room.
///
/// - Parameter swarm: finds the peers: `Swarm()` with given addresses, or with sources such as
///   `LANSource()`. These take the place of the exercise's signal server.
public func startChat(username: String, key: PublicKey? = nil, swarm: Swarm) async throws -> Chat {
  let chat = try await Chat(storage: MemoryStorage(), key: key, username: username)
  // Before the first connection, which announces who is here.
  await chat.initialize()
  await swarm.join(chat.db.discoveryKey) { _ in
    try await chat.replicate()
  } meet: { stream, _ in
    do { try await chat.connect(stream) } catch { print(error) }
  }
  return chat
}
