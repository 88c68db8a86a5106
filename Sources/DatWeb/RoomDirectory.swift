public import HypercoreCrypto
public import Saga

/// The rooms that a server's page can show.
public protocol RoomDirectory: Sendable {
  /// The name that is suggested to whoever makes or joins a room.
  var username: String { get async }
  /// Tells whether rooms can be made and joined from the page.
  var canAdd: Bool { get async }
  /// The rooms, opened.
  func rooms() async -> [RoomView]
  /// Makes a room, owned by whoever runs the server.
  func makeRoom(username: String) async throws -> RoomView
  /// Joins the room of this key, or gives the one that was joined before.
  func joinRoom(_ key: PublicKey, username: String) async throws -> RoomView
  /// Called when a page has shown a room up to a message: the place to store that.
  func didRead(_ room: PublicKey, upTo place: Message.Place) async
  /// What a room lacks elsewhere whose own feed has two histories; see ``RecoveryPlan``.
  func recovery(of room: PublicKey) async throws -> RecoveryPlan
  /// Has a room go on with a new writer key. Returns where the old folder is now.
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
