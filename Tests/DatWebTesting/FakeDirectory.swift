public import DatWeb
public import HypercoreCrypto
public import Saga

/// A folder of rooms that is in memory.
public actor FakeDirectory: RoomDirectory {
  public nonisolated let username: String
  public nonisolated var canAdd: Bool { true }
  public private(set) var views: [RoomView] = []
  public private(set) var sources: [FakeRoom] = []
  public private(set) var reads: [(room: PublicKey, place: Message.Place)] = []
  private var listeners: [AsyncStream<Void>.Continuation] = []

  public init(username: String) { self.username = username }

  public func add(_ room: FakeRoom) async {
    let view = RoomView(room)
    await view.open()
    sources.append(room)
    views.append(view)
    for listener in listeners { listener.yield() }
  }

  public func rooms() -> [RoomView] { views }

  public func makeRoom(username: String) async throws -> RoomView {
    try await joinRoom(FakeRoom.key("room of \(username) \(views.count)"), username: username)
  }

  public func joinRoom(_ key: PublicKey, username: String) async throws -> RoomView {
    for (source, view) in zip(sources, views) where source.me.room == key { return view }
    await add(FakeRoom(username, room: key))
    return views[views.count - 1]
  }

  public func didRead(_ room: PublicKey, upTo place: Message.Place) { reads.append((room, place)) }

  public func changes() -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    listeners.append(continuation)
    return stream
  }
}
