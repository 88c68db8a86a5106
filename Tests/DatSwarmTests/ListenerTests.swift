import Testing

@testable import DatSwarm

@Test func `a port in use is one clear sentence`() async throws {
  let listener = try await TCPListener(host: "127.0.0.1")
  #expect(listener.address.port > 0)
  let error = await #expect(throws: SwarmError.self) {
    _ = try await TCPListener(host: "127.0.0.1", port: listener.address.port)
  }
  #expect(error?.code == .addressInUse)
  #expect(
    error?.reason
      == "Could not listen on \(listener.address): the port is in use; choose another, or 0 for any "
      + "that is free.")
  await listener.close()
  let again = try await TCPListener(host: "127.0.0.1", port: listener.address.port)
  await again.close()
}

@Test func `an address that is not ours, and a port that is none, are refused`() async {
  let other = await #expect(throws: SwarmError.self) {
    _ = try await TCPListener(host: "192.0.2.1")
  }
  #expect(other?.code == .address)
  let port = await #expect(throws: SwarmError.self) { _ = try await TCPListener(port: 70000) }
  #expect(port?.code == .address)
  let dialled = await #expect(throws: SwarmError.self) {
    _ = try await TCPDialer.connect(to: PeerAddress(host: "127.0.0.1", port: 0))
  }
  #expect(dialled?.code == .address)
}

@Test func `dialling a port that nobody listens on says so`() async throws {
  let listener = try await TCPListener(host: "127.0.0.1")
  let address = listener.address
  await listener.close()
  let error = await #expect(throws: SwarmError.self) {
    _ = try await TCPDialer.connect(to: address)
  }
  #expect(error?.code == .refused)
  #expect(error?.reason == "Could not connect to \(address): nobody listens there.")
}

@Test func `a name that leads nowhere is an unknown host`() async throws {
  let error = await #expect(throws: SwarmError.self) {
    _ = try await TCPDialer.connect(to: PeerAddress(host: "name.invalid", port: 3282))
  }
  #expect(error?.code == .unknownHost)
}

@Test func `connections over the limit are closed at once, and a place is free again`() async throws
{
  var options = TCPListener.Options()
  options.maximumInbound = 2
  let listener = try await TCPListener(host: "127.0.0.1", options: options)
  let (served, serve) = AsyncStream.makeStream(of: Void.self)
  let server = Task {
    await listener.run { socket in
      serve.yield()
      try? await socket.pump(IdleStream())
    }
  }
  var service = served.makeAsyncIterator()
  var kept: [(PeerSocket, Task<Void, any Error>)] = []
  for _ in 0..<2 {
    let socket = try await TCPDialer.connect(to: listener.address)
    kept.append((socket, Task { try await socket.pump(IdleStream()) }))
    await service.next()
  }
  let refused = try await TCPDialer.connect(to: listener.address)
  let stream = PatternStream(Pattern(seed: 1), sending: 0, outputGate: Gate())
  // The first thing it notices is that the other end is closed.
  let pump = Task { try await refused.pump(stream) }
  await stream.finished.wait()
  await stream.openOutput()
  _ = await pump.result
  for (socket, pump) in kept {
    socket.close()
    _ = await pump.result
  }
  server.cancel()
  await server.value
  #expect(listener.inboundCount == 0)
}

@Test func `addresses are read and written, and what is none is refused`() throws {
  for text in ["127.0.0.1:3282", "[::1]:1", "peer.example:65535", "[2001:db8::7]:3282"] {
    #expect(try PeerAddress(parsing: text).description == text)
  }
  for text in [
    "", ":", "host", "host:", ":80", "host:0", "host:65536", "::1:80", "a b:80", "host:-1",
    "[]:80",
  ] {
    let error = #expect(throws: SwarmError.self) { try PeerAddress(parsing: text) }
    #expect(error?.code == .address)
  }
}
