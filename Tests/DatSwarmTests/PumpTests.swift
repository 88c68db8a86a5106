import DatTesting
import Foundation
import Testing

@testable import DatSwarm

/// Runs `serve` for the first connection of a listener on this machine, and `dial` on the other end.
private func connected(
  host: String = "127.0.0.1",
  serve: @escaping @Sendable (PeerSocket) async throws -> Void,
  dial: @escaping @Sendable (PeerSocket) async throws -> Void
) async throws {
  let listener = try await TCPListener(host: host)
  let address = listener.address
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask {
      let (failures, report) = AsyncStream.makeStream(of: (any Error)?.self)
      await listener.run { socket in
        do {
          try await serve(socket)
          report.yield(nil)
        } catch {
          report.yield(error)
        }
      }
      report.finish()
      for await failure in failures { if let failure { throw failure } }
    }
    group.addTask {
      do {
        try await dial(try await TCPDialer.connect(to: address))
      } catch {
        await listener.close()
        throw error
      }
      await listener.close()
    }
    try await group.waitForAll()
  }
}

@Test(arguments: Loopback.addresses + ["localhost"])
func `fifty megabytes go both ways intact, with a bounded number of buffers held`(
  host: String
) async throws {
  let pattern = Pattern(seed: 1)
  let total = host == "127.0.0.1" ? 50_000_000 : 1_000_000
  let echo = EchoStream()
  let stream = PatternStream(pattern, sending: total)
  try await connected(host: host) { socket in
    #expect(socket.isInbound)
    try await socket.pump(echo)
  } dial: { socket in
    #expect(!socket.isInbound)
    try await socket.pump(stream)
  }
  #expect(await stream.received == total)
  #expect(await stream.isIntact)
  #expect(await stream.isFinished)
  #expect(await stream.closings == [nil])
  #expect(await echo.most <= 2)
}

/// The most by which a sender was ahead of its receiver.
private actor Lead {
  private(set) var most = 0
  func note(_ lead: Int) { most = max(most, lead) }
}

/// A sender that compares itself with its receiver each time it is asked for output.
private struct WatchedStream: PeerStream {
  let wrapped: PatternStream
  let receiver: PatternStream
  let lead: Lead

  func receive(_ bytes: [UInt8]) async throws { try await wrapped.receive(bytes) }

  func nextOutput() async throws -> [UInt8]? {
    await lead.note(await wrapped.sent - receiver.received)
    return try await wrapped.nextOutput()
  }

  func finishInput() async { await wrapped.finishInput() }

  func close(_ error: (any Error)?) async { await wrapped.close(error) }
}

@Test func `a slow receiver slows the sender down`() async throws {
  let pattern = Pattern(seed: 2)
  // What the kernel may hold between the two ends, and a little for the buffers here.
  let bound = kernelBuffers() + 10_000_000
  let total = bound + 50_000_000
  let slow = PatternStream(pattern, sending: 0, yields: 200)
  let fast = PatternStream(pattern, sending: total)
  let lead = Lead()
  try await connected { socket in
    try await socket.pump(slow)
  } dial: { socket in
    try await socket.pump(WatchedStream(wrapped: fast, receiver: slow, lead: lead))
  }
  #expect(await slow.received == total)
  #expect(await slow.isIntact)
  #expect(await lead.most < bound)
}

/// Returns the most bytes that a socket may hold in both directions together.
private func kernelBuffers() -> Int {
  ["tcp_rmem", "tcp_wmem"].map { name in
    // "least usual most", if the system reports it; otherwise more than any usual one.
    let text = try? String(contentsOfFile: "/proc/sys/net/ipv4/\(name)", encoding: .utf8)
    return text?.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) } ?? 20_000_000
  }.reduce(0, +)
}

@Test func `what is sent after the other end has said all arrives to the last byte`() async throws {
  let pattern = Pattern(seed: 3)
  let question = PatternStream(pattern, sending: 1_000_000)
  // It answers only once the question has ended.
  let answer = PatternStream(pattern, sending: 3_000_000, outputGate: Gate())
  try await connected { socket in
    async let pumped: Void = socket.pump(answer)
    await answer.finished.wait()
    #expect(await answer.received == 1_000_000)
    #expect(await answer.sent == 0)
    await answer.openOutput()
    try await pumped
  } dial: { socket in
    try await socket.pump(question)
  }
  #expect(await question.received == 3_000_000)
  #expect(await question.isIntact)
  #expect(await question.isFinished)
}

@Test func `a stream that fails ends both ends, each with its reason`() async throws {
  let pattern = Pattern(seed: 4)
  let failing = PatternStream(pattern, sending: 10_000_000, failing: 1_000_000)
  let sender = PatternStream(pattern, sending: 50_000_000)
  try await connected { socket in
    await #expect(throws: TestFailure.self) { try await socket.pump(failing) }
    #expect(await failing.closings.first == "TestFailure()")
  } dial: { socket in
    let error = await #expect(throws: SwarmError.self) { try await socket.pump(sender) }
    #expect(error?.code == .reset || error?.code == .closed)
    #expect(error?.reason.contains("127.0.0.1") == true)
    #expect(await !sender.closings.isEmpty)
  }
}

@Test func `closing a socket ends its pump, and cancelling the task does`() async throws {
  for cancels in [false, true] {
    try await connected { socket in
      _ = try? await socket.pump(IdleStream())
    } dial: { socket in
      let stream = PatternStream(Pattern(seed: 5), sending: 1, outputGate: Gate())
      let pump = Task { try await socket.pump(stream) }
      if cancels { pump.cancel() } else { socket.close() }
      let result = await pump.result
      #expect(throws: (any Error).self) { try result.get() }
      if cancels { #expect(throws: CancellationError.self) { try result.get() } }
      #expect(await !stream.closings.isEmpty)
    }
  }
}

@Test func `a socket carries one stream, and none once it was closed`() async throws {
  try await connected { socket in
    try await socket.pump(IdleStream())
  } dial: { socket in
    try await socket.pump(PatternStream(Pattern(seed: 6), sending: 10))
    await #expect(throws: SwarmError.self) { try await socket.pump(IdleStream()) }
  }
}

@Test func `a write is stuck when it is under way at two looks`() {
  var watch = WriteWatch()
  var looks = [watch.looksStuck()]
  watch.begin()
  looks.append(watch.looksStuck())
  watch.end()
  watch.begin()
  looks.append(watch.looksStuck())
  looks.append(watch.looksStuck())
  watch.end()
  looks.append(watch.looksStuck())
  #expect(looks == [false, false, false, true, false])
}
