internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

// The event stream: changes, sent as they happen.
extension WebResponder {
  /// A stream of server-sent events: `update` for the room, if any, `rooms` for the list of rooms.
  ///
  /// A page that was away sends the last revision and run that it has seen of the room, and receives what
  /// changed since. A page that reads slowly gets fewer, larger updates: nothing is queued.
  func events(_ room: RoomView?, since: Int?, run: String?) -> Response {
    let body = ResponseBody { [self] writer in
      let (signals, continuation) = AsyncStream<Void>.makeStream(
        bufferingPolicy: .bufferingNewest(1))
      let rings = Task { await ring(continuation, room) }
      defer { rings.cancel() }
      var since = since
      var run = run
      var lastStart: [UInt8] = []
      for await _ in signals {
        var text = ByteBuffer()
        if let room {
          let revision = await room.revision
          if since != revision || run != room.run {
            let update = await room.update(since: since, run: run)
            since = update.revision
            run = update.run
            text.writeEvent("update", try JSONEncoder().encode(update))
          }
        } else {
          let encoder = JSONEncoder()
          encoder.outputFormatting = .sortedKeys
          let start = Array(try encoder.encode(await start()))
          if start != lastStart {
            lastStart = start
            text.writeEvent("rooms", start)
          }
        }
        // A sign of life, which also detects a page that is gone.
        if text.readableBytes == 0 { text.writeString(": here\n\n") }
        try await writer.write(text)
      }
      try await writer.finish(nil)
    }
    var headers = Self.headers("text/event-stream; charset=utf-8")
    headers[.init("X-Accel-Buffering")!] = "no"
    return Response(status: .ok, headers: headers, body: body)
  }

  /// Signals every change and every heartbeat; ends the stream when the room is closed.
  private func ring(_ bell: AsyncStream<Void>.Continuation, _ room: RoomView?) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        while !Task.isCancelled {
          try? await Task.sleep(for: heartbeat)
          bell.yield()
        }
      }
      if let room {
        // Listening begins before the first look, so that nothing is missed in between.
        let changes = await room.signals()
        bell.yield()
        for await _ in changes { bell.yield() }
      } else {
        let added = await rooms.changes()
        var known: Set<String> = []
        func listen() async {
          for room in await rooms.rooms() where known.insert(room.run).inserted {
            let changes = await room.signals()
            group.addTask { for await _ in changes { bell.yield() } }
          }
          bell.yield()
        }
        await listen()
        for await _ in added { await listen() }
        await group.waitForAll()
      }
      bell.finish()
      group.cancelAll()
    }
  }
}

extension ByteBuffer {
  /// Writes one server-sent event of a single line of JSON.
  fileprivate mutating func writeEvent(_ name: String, _ json: some Sequence<UInt8>) {
    writeString("event: \(name)\ndata: ")
    writeBytes(json)
    writeString("\n\n")
  }
}
