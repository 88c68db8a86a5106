import DatTesting
import Testing

@testable import DatSwarm

/// A clock that tests move, and the pauses that were asked for.
private actor Pauses {
  private(set) var made: [Duration] = []
  func note(_ pause: Duration) { made.append(pause) }
}

/// Time that passes by sleeping alone, and no chance.
private func instantTiming(_ pauses: Pauses, upTo limit: Int = .max) -> PeerConnections.Timing {
  let start = ContinuousClock.now
  return PeerConnections.Timing(
    now: { start },
    sleep: { pause in
      await pauses.note(pause)
      try Task.checkCancellation()
      // Enough was seen: wait until cancelled.
      if await pauses.made.count >= limit { try await Task.sleep(for: .seconds(3600)) }
      await Task.yield()
    },
    jitter: { $0 })
}

@Test func `pauses grow up to a minute while nobody answers`() async throws {
  let listener = try await TCPListener(host: "127.0.0.1")
  let address = listener.address
  await listener.close()
  let pauses = Pauses()
  let connections = PeerConnections(timing: instantTiming(pauses, upTo: 8)) { _ in }
  let changes = await connections.changes()
  await connections.add(address)
  await connections.add(address)
  var seen: [PeerConnections.State] = []
  for await change in changes {
    #expect(change.address == address)
    if let state = change.state { seen.append(state) }
    if seen.count == 24 { break }
  }
  let start = try #require(
    seen.lazy.compactMap { if case .waiting(let until) = $0 { until - .seconds(1) } else { nil } }
      .first)
  let reason = "Could not connect to \(address): nobody listens there."
  #expect(
    seen
      == [1, 1, 5, 15, 30, 60, 60, 60].flatMap {
        [.connecting, .failed(reason: reason), .waiting(until: start + .seconds($0))]
      })
  #expect(await connections.states.count == 1)
  await connections.stop()
  #expect(await connections.states.isEmpty)
  #expect(await pauses.made.prefix(3) == [.seconds(1), .seconds(1), .seconds(5)])
}

@Test(arguments: [true, false])
func
  `a listener that goes and comes back is found again, soon if the last connection was confirmed`(
    confirms: Bool
  ) async throws
{
  let pauses = Pauses()
  let connections = PeerConnections(timing: instantTiming(pauses)) { socket in
    if confirms { socket.confirm() }
    try await socket.pump(IdleStream())
  }
  let changes = await connections.changes()
  var states = changes.makeAsyncIterator()
  var port = 0
  for round in 0..<3 {
    let listener = try await TCPListener(host: "127.0.0.1", port: port)
    port = listener.address.port
    let served = Gate()
    let server = Task {
      await listener.run { socket in
        await served.open()
        try? await socket.pump(IdleStream())
      }
    }
    if round == 0 { await connections.add(listener.address) }
    while let change = await states.next(), change.state != .connected {}
    await served.wait()
    let before = await pauses.made.count
    server.cancel()
    await server.value
    while let change = await states.next() {
      if case .waiting(let until)? = change.state {
        let pause = until - ContinuousClock.now
        if confirms { #expect(pause <= .seconds(1)) }
        break
      }
    }
    #expect(await pauses.made.count >= before)
  }
  await connections.stop()
}

@Test func `removing an address closes its connection and says so`() async throws {
  let listener = try await TCPListener(host: "127.0.0.1")
  let ended = Gate()
  let server = Task {
    await listener.run { socket in
      try? await socket.pump(IdleStream())
      await ended.open()
    }
  }
  let connections = PeerConnections { try await $0.pump(IdleStream()) }
  let changes = await connections.changes()
  await connections.add(listener.address)
  var states = changes.makeAsyncIterator()
  while let change = await states.next(), change.state != .connected {}
  await connections.remove(listener.address)
  await ended.wait()
  #expect(await states.next() == .init(address: listener.address, state: nil))
  #expect(await connections.states.isEmpty)
  server.cancel()
  await server.value
}
