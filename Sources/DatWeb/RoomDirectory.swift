public import HypercoreCrypto
public import Saga

/// The rooms that a server's page can show.
public protocol RoomDirectory: Sendable {
  /// The name to suggest to a user who makes or joins a room.
  var username: String { get async }
  /// True if rooms can be made and joined from the page.
  var canAdd: Bool { get async }
  /// Returns the rooms, opened.
  func rooms() async -> [RoomView]
  /// Makes a room, owned by the user of the server.
  func makeRoom(username: String) async throws -> RoomView
  /// Joins the room of this key, or returns the one that was joined before.
  func joinRoom(_ key: PublicKey, username: String) async throws -> RoomView
  /// Called when a page has shown a room up to a message, so that the place can be stored.
  func didRead(_ room: PublicKey, upTo place: Message.Place) async
  /// Returns what is missing elsewhere of a room whose own feed has two histories; see ``RecoveryPlan``.
  func recovery(of room: PublicKey) async throws -> RecoveryPlan
  /// Continues a room with a new writer key. Returns the new location of the old folder.
  func recover(_ room: PublicKey, keepsHistory: Bool) async throws -> String
  /// A signal whenever ``rooms()`` has changed.
  func changes() async -> AsyncStream<Void>
}

/// A directory of one room.
public struct SingleRoom: RoomDirectory {
  private let room: RoomView

  public init(_ room: RoomView) { self.room = room }

  public var username: String { get async { await room.identity?.username ?? "" } }
  public var canAdd: Bool { get async { false } }
  public func rooms() async -> [RoomView] { [room] }

  public func makeRoom(username: String) async throws -> RoomView {
    throw WebError(.refused, "This program was started for one room.")
  }

  public func joinRoom(_ key: PublicKey, username: String) async throws -> RoomView {
    throw WebError(.refused, "This program was started for one room.")
  }

  public func didRead(_ room: PublicKey, upTo place: Message.Place) async {}
  public func changes() async -> AsyncStream<Void> { AsyncStream { $0.finish() } }
}
