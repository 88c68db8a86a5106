internal import DatDNS
internal import DatSwarm
internal import Foundation
internal import NIOCore
internal import NIOPosix

/// Questions for SRV records, over UDP, and over TCP if the answer does not fit a packet.
enum DNSExchange {
  /// The port of DNS.
  static let port = 53
  /// The time for an answer over UDP, and the number of packets sent for one.
  static let packetTime = Duration.seconds(2)
  private static let packetTries = 2
  /// The time for an answer over TCP.
  private static let streamTime = Duration.seconds(5)

  /// Returns the hosts of a service, and the seconds for which that holds.
  ///
  /// - Parameters:
  ///   - name: the name of the service.
  ///   - servers: the servers to ask, one after the other; none for those of the system's settings.
  ///   - packetTime: the time for an answer over UDP, of two.
  /// - Throws: ``HostError`` with `malformedFile`: the reason of the last server.
  static func hosts(
    of name: String, servers: [PeerAddress], packetTime: Duration = packetTime
  ) async throws(HostError) -> ([ServiceLookup.Host], ttl: UInt32) {
    var reason = "There is no DNS server to ask: /etc/resolv.conf names none."
    for server in servers.isEmpty ? systemServers() : servers {
      guard let lookup = ServiceLookup(name, id: .random(in: 0 ... .max)) else {
        throw HostError(.malformedFile, "\(name) is no name that can be looked up.")
      }
      switch await ask(server, lookup, packetTime) {
      case .hosts(let hosts, let ttl): return (hosts, ttl)
      case .truncated: reason = "The DNS server \(server) cuts its answers short, over TCP too."
      case .unusable(let sentence): reason = "\(sentence) (\(name), by the DNS server \(server))"
      }
    }
    throw HostError(.malformedFile, reason)
  }

  private static func systemServers() -> [PeerAddress] {
    guard let settings = FileManager.default.contents(atPath: "/etc/resolv.conf") else { return [] }
    return ResolverList.servers(in: settings).map { PeerAddress(host: $0, port: port) }
  }

  private static func ask(
    _ server: PeerAddress, _ lookup: ServiceLookup, _ packetTime: Duration
  ) async -> ServiceLookup.Reading {
    for _ in 0..<packetTries {
      let reading = await within(packetTime) { await packet(lookup, to: server) }
      switch reading {
      case nil: continue
      case .truncated?:
        return await within(streamTime) { await stream(lookup, to: server) }
          ?? .unusable("The answer did not come over TCP.")
      case .some(let reading): return reading
      }
    }
    return .unusable("No answer came.")
  }

  /// Returns the result of a body that ends early when it is cancelled; nil if the time was over before.
  private static func within<Result: Sendable>(
    _ time: Duration, _ body: @escaping @Sendable () async -> Result?
  ) async -> Result? {
    await withTaskGroup(of: Result?.self) { group in
      group.addTask { await body() }
      group.addTask {
        try? await Task.sleep(for: time)
        return nil
      }
      defer { group.cancelAll() }
      return await group.next() ?? nil
    }
  }

  // MARK: UDP

  private static func packet(
    _ lookup: ServiceLookup, to server: PeerAddress
  ) async -> ServiceLookup.Reading? {
    guard let remote = try? SocketAddress(ipAddress: server.host, port: server.port) else {
      return .unusable("The server's address is no number.")
    }
    do {
      // A new port for each question, so that a false answer has to guess it as well.
      let channel = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
        .bind(to: SocketAddress(ipAddress: server.host.contains(":") ? "::" : "0.0.0.0", port: 0)) {
          channel in
          channel.eventLoop.makeCompletedFuture {
            try NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>(
              wrappingChannelSynchronously: channel)
          }
        }
      return try await channel.executeThenClose { inbound, outbound in
        try await outbound.write(
          AddressedEnvelope(remoteAddress: remote, data: ByteBuffer(bytes: lookup.question)))
        for try await envelope in inbound where envelope.remoteAddress == remote {
          let bytes = Array(envelope.data.readableBytesView)
          if let reading = lookup.read(bytes, isPacket: true) { return reading }
        }
        return nil
      }
    } catch is CancellationError {
      return nil
    } catch {
      return .unusable("\(SwarmError("No question could be sent", error).reason)")
    }
  }

  // MARK: TCP

  private static func stream(
    _ lookup: ServiceLookup, to server: PeerAddress
  ) async -> ServiceLookup.Reading? {
    let question = lookup.question
    do {
      let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .connectTimeout(.seconds(5))
        .connect(host: server.host, port: server.port) { channel in
          channel.eventLoop.makeCompletedFuture {
            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
          }
        }
      return try await channel.executeThenClose { inbound, outbound in
        let length = UInt16(truncatingIfNeeded: question.count)
        try await outbound.write(
          ByteBuffer(bytes: [UInt8(length >> 8), UInt8(length & 255)] + question))
        var received: [UInt8] = []
        for try await bytes in inbound {
          received += bytes.readableBytesView
          // A message has its length before it, so no more than that is ever kept.
          while received.count >= 2 {
            let end = 2 + Int(received[0]) << 8 + Int(received[1])
            guard received.count >= end else { break }
            if let reading = lookup.read(Array(received[2..<end]), isPacket: false) {
              return reading
            }
            received.removeSubrange(..<end)
          }
        }
        return .unusable("The server ended the connection without an answer.")
      }
    } catch is CancellationError {
      return nil
    } catch {
      return .unusable("\(SwarmError("No answer came over TCP", error).reason)")
    }
  }
}
