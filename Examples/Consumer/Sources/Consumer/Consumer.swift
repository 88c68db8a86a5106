import DatSwarm
import HyperDB
import Hypercore
import Saga

/// Two members of a room meet over TCP on the loopback interface and exchange a message.
@main
struct Consumer {
  static func main() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append([Array("one".utf8), Array("two".utf8)])
    print("a feed of \(await feed.length) blocks")
    try await feed.close()

    let ana = await Saga(db: try await HyperDB.inMemory(), username: "ana")
    await ana.initialize()
    try await ana.writeMessage("hello from a package of its own")

    let listener = try await TCPListener(host: "127.0.0.1", port: 0)
    let serving = Task { await listener.run { await meet($0, in: ana) } }

    let bea = await Saga(db: try await HyperDB.inMemory(key: ana.key), username: "bea")
    await bea.initialize()
    let socket = try await TCPDialer.connect(to: listener.address)
    let meeting = Task { await meet(socket, in: bea) }
    for await event in bea.events() {
      if case .message(let message) = event {
        print("\(message.username): \(message.text)")
        break
      }
    }

    socket.close()
    await meeting.value
    serving.cancel()
    await listener.close()
    await bea.close()
    await ana.close()
  }

  /// Carries one connection to its end.
  private static func meet(_ socket: PeerSocket, in room: Saga) async {
    guard let stream = try? await room.replicate() else { return }
    let greeting = Task {
      _ = await stream.handshake()
      try await room.connect(stream)
    }
    try? await socket.pump(stream)
    greeting.cancel()
  }
}
