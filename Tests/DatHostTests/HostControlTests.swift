@testable import DatHost
import DatTesting
import Foundation
import HypercoreCrypto
import NIOCore
import NIOPosix
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct HostControlTests {
  private func with(_ body: (HostWorld, String) async throws -> Void) async throws {
    let world = try await HostWorld()
    let control = try await HostControl(world.host)
    let running = Task { try await control.run() }
    try await body(world, world.host.path)
    running.cancel()
    _ = await running.result
    #expect(!FileManager.default.fileExists(atPath: world.host.path + "/control"))
    await world.close()
  }

  @Test func `keys are added, listed and removed over the socket`() async throws {
    try await with { _, folder in
      let key = KeyPair.generate().publicKey
      let added = try await HostClient.ask(.init(.add, key: "feed:\(key.hex)"), hostIn: folder)
      #expect(added.map(\.key) == [key])
      #expect(added.first?.kind == .feed)
      #expect(try await HostClient.ask(.init(.list), hostIn: folder) == added)
      #expect(try await HostClient.ask(.init(.remove, key: key.hex), hostIn: folder) == [])
      #expect(try await HostClient.ask(.init(.list), hostIn: folder) == [])
      await #expect {
        try await HostClient.ask(.init(.remove, key: key.hex), hostIn: folder)
      } throws: { "\($0)".contains("not hosted") }
      await #expect { try await HostClient.ask(.init(.add, key: "abc"), hostIn: folder) } throws: {
        "\($0)".contains("no key")
      }
      await #expect { try await HostClient.ask(.init(.add), hostIn: folder) } throws: {
        "\($0)".contains("names no key")
      }
    }
  }

  @Test func `only the owner can reach the socket`() async throws {
    try await with { _, folder in
      let mode = try FileManager.default.attributesOfItem(atPath: folder + "/control")[
        .posixPermissions]
      #expect(mode as? Int == 0o600)
    }
  }

  @Test func `garbage is answered with an error, or not at all, and the host goes on`() async throws
  {
    try await with { _, folder in
      var random = SeededRandom(seed: 11)
      for round in 0..<30 {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
          .connect(unixDomainSocketPath: folder + "/control") { channel in
            channel.eventLoop.makeCompletedFuture {
              try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
          }
        let garbage =
          round == 0
          ? [UInt8](repeating: 97, count: 200_000)
          : random.bytes(Int.random(in: 1..<3000, using: &random)) + [10]
        // It may hang up before all was said.
        try? await channel.executeThenClose { inbound, outbound in
          try await outbound.write(ByteBuffer(bytes: garbage))
          for try await answer in inbound {
            #expect(String(buffer: answer).hasPrefix("{\"error\":"))
            break
          }
        }
      }
      #expect(try await HostClient.ask(.init(.list), hostIn: folder) == [])
    }
  }

  @Test func `the socket is closed in order while clients arrive`() async throws {
    let world = try await HostWorld()
    for _ in 0..<30 {
      let control = try await HostControl(world.host)
      let running = Task { try await control.run() }
      // More than are handed out before the end.
      var clients: [any Channel] = []
      for _ in 0..<30 {
        let client = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        clients.append(
          try await client.connect(unixDomainSocketPath: world.host.path + "/control").get())
      }
      running.cancel()
      _ = await running.result
      for client in clients { try? await client.close() }
    }
    await world.close()
  }

  @Test func `a request with marks without end costs linear time`() {
    // As much as a request can have, in every field; a dictionary of such names takes seconds.
    let slow = slowText(bytes: 15_000)
    let time = processorTime {
      for field in ["command", "key", slow] {
        let line = #"{"\#(field)":"\#(slow)","\#(slow)":{"\#(slow)":1}}"#
        #expect(HostControl.request(Array(line.utf8)) == nil)
      }
      #expect(throws: HostError.self) { try HostedKey(parsing: slow) }
      #expect(throws: HostError.self) { try HostedKey(parsing: "room:" + slow) }
    }
    #expect(time < (isSanitized ? 10 : 1), "\(time) s")
    let sound = #"{"deletesData":true,"key":"a\u0062","x":[1],"command":"remove"}"#
    #expect(
      HostControl.request(Array(sound.utf8))
        == ControlRequest(.remove, key: "ab", deletesData: true))
    #expect(HostControl.request(Array(#"{"command":"Remove"}"#.utf8)) == nil)
  }

  @Test func `where no host runs a sentence says so`() async throws {
    let folder = try TemporaryFolder()
    await #expect { try await HostClient.ask(.init(.list), hostIn: folder.path) } throws: {
      ($0 as? HostError)?.code == .control
    }
  }

  @Test func `a socket that was left behind is replaced`() async throws {
    let world = try await HostWorld()
    try Data().write(to: URL(fileURLWithPath: world.host.path + "/control"))
    let control = try await HostControl(world.host)
    let running = Task { try await control.run() }
    #expect(try await HostClient.ask(.init(.list), hostIn: world.host.path) == [])
    running.cancel()
    _ = await running.result
    await world.close()
  }
}
