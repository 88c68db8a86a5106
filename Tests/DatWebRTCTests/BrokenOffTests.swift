#if WebRTC
  import DatSignal
  import DatSwarm
  import Hypercore
  import HypercoreCrypto
  import RandomAccessStorage
  import Testing

  @testable import DatWebRTC

  /// A peer at a hub that offers connections by itself, as a page does.
  final class Offerer: Sendable {
    /// The point at which it breaks its connection off.
    enum Ending { case onAnswer, onCertificate, never }

    private let hub: SignalHub

    init(_ hub: SignalHub) { self.hub = hub }

    /// Offers a connection to this peer; for nil, to the first one that announces itself.
    ///
    /// - Returns: the peer's id, once the connection is open, or broken off.
    func meets(_ known: String?, until ending: Ending) async throws -> String {
      let connection = try await WebRTCConnection(options: NativePairTests.loopback)
      var (peer, isAnswered) = (known, false)
      if let known { await offer(connection, to: known) }
      for await event in hub.events {
        switch event {
        case .message(.connect(let from, isNative: true)) where peer == nil:
          peer = from
          await offer(connection, to: from)
        case .message(.signal(let from, .description(isOffer: false, let sdp))) where from == peer:
          if ending == .onAnswer {
            await connection.close()
            return from
          }
          var answer = try SessionDescription(.answer, parsing: sdp.utf8)
          if ending == .onCertificate { answer.fingerprint[0] ^= 1 }
          try await connection.apply(.answer(answer.text(session: 1)))
          isAnswered = true
        case .message(.signal(let from, .candidate(let text))) where from == peer && isAnswered:
          // Those that come before the answer are of a connection that is over.
          try await connection.apply(.candidate(text))
          // One path is enough.
          do { try await connection.opening() } catch {
            guard ending == .onCertificate, (error as? WebRTCError)?.code == .certificate else {
              throw error
            }
          }
          await connection.close()
          return from
        default: break
        }
      }
      return ""
    }

    private func offer(_ connection: WebRTCConnection, to peer: String) async {
      Task { [hub] in
        for await signal in connection.signals {
          hub.post(.signal(from: "an offerer", SignalMessage.Signal(signal)), to: peer)
        }
      }
      await connection.offer(label: "a label")
    }

    func close() async { await hub.close() }
  }

  @Suite(.timeLimit(.minutes(1)))
  struct BrokenOffTests {
    @Test(arguments: [Offerer.Ending.onAnswer, .onCertificate])
    func `a peer that closes amid the handshake is told, and others meet meanwhile`(
      ending: Offerer.Ending
    ) async throws {
      let hub = try await TestHub()
      var options = WebRTCTransport.Options()
      options.webRTC = NativePairTests.loopback
      options.limits.patience = 4_000
      let one = await HubNode([try hub.address()], options)
      let other = await HubNode([try hub.address()])
      let feed = try await Feed.open(storage: MemoryStorage())
      try await feed.append([UInt8]("a block".utf8))
      var copyOptions = Feed.Options()
      copyOptions.key = feed.key
      let copy = try await Feed.open(storage: MemoryStorage(), options: copyOptions)
      let key = await one.join(feed)
      let offerer = Offerer(
        SignalHub(try hub.address(), application: key.hex, id: "an offerer"))
      let peer = try await offerer.meets(nil, until: ending)
      await other.join(copy)
      #expect(try await copy.get(0) == [UInt8]("a block".utf8))
      for await event in one.events {
        guard case .failed(_, _, let reason) = event else { continue }
        #expect(reason == "The peer did not go on with the connection.")
        break
      }
      // It is met again, under the same id. A machine that is busy may not be done in time at first.
      var met: String?
      while met == nil { met = try? await offerer.meets(peer, until: .never) }
      #expect(met == peer)
      await offerer.close()
      await one.swarm.close()
      await other.swarm.close()
      await hub.close()
    }
  }
#endif
