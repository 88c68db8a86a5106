import DatHTTP
import DatTesting
import DatWebTesting
import HypercoreCrypto
import NIOCore
import Testing

@testable import DatWeb

// What other users of the machine can do to the page's server.

private let room = FakeRoom.key("ana")
private let messagesPath = "/api/rooms/\(room.hex)/messages"

private func fakeRoom() -> FakeRoom {
  FakeRoom("ana", room: room, messages: madeUpMessages(5, until: 1_700_000_000_000))
}

@Test(.timeLimit(.minutes(1)))
func `half requests by the hundred keep nobody from the page, and end nothing of its own`()
  async throws
{
  try await TestServer.with(fakeRoom()) { server in
    try await server.events("/api/events?room=\(room.hex)") { events in
      _ = try await events.next()
      var crowd: [LoopbackSocket] = []
      for _ in 0..<256 {
        let socket = try LoopbackSocket(server.port)
        socket.send("GET / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nX-Half: ")
        crowd.append(socket)
        guard crowd.count.isMultiple(of: 32) else { continue }
        #expect(try await server.get(messagesPath).status == 200)
        #expect(try await server.get("/", changing: ["Dat-Secret": nil]).status == 200)
      }
      // The oldest made room; how many strangers there are at a time is bounded.
      let open = crowd.count { !$0.isClosed(within: 0) }
      #expect(open <= 33)
      #expect(!crowd[255].isClosed(within: 0))
      // The event stream was there before them all, and goes on.
      let answer = try await server.post("\(messagesPath)", #"{"text":"still here"}"#)
      #expect(answer.status == 200)
      while try await events.next()?.data["messages"] == nil {}
    }
  }
}

@Test(.timeLimit(.minutes(1)))
func `half a request is given a short while, and a whole one a while`()
  async throws
{
  var options = WebServer.Options()
  options.places.head = .milliseconds(200)
  options.places.life = .milliseconds(600)
  try await TestServer.with(fakeRoom(), options: options) { server in
    let half = try LoopbackSocket(server.port)
    half.send("GET / HTTP/1.1\r\nHost: 127.0.0.1")
    #expect(half.isClosed(within: 30))
    // A stranger that asks for a page keeps its connection for a while, the page's own for longer.
    let stranger = try LoopbackSocket(server.port)
    stranger.send("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\n\r\n")
    #expect(stranger.readToEnd().hasPrefix("HTTP/1.1 200"))
    let own = try LoopbackSocket(server.port)
    own.send(
      "HEAD / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nDat-Secret: \(server.secret)\r\n\r\n")
    let liar = try LoopbackSocket(server.port)
    liar.send("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nDat-Secret: x\r\n\r\n")
    _ = liar.readToEnd()
    #expect(!own.isClosed(within: 0))
  }
}
