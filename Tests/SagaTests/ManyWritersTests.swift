import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Saga
import Testing

@Suite(.timeLimit(.minutes(1))) struct ManyWritersTests {
  /// Everybody meets the hub alone, one at a time or all at once, and gets everything.
  @Test(arguments: [false, true])
  func `a room of twenty writers reaches everybody through one peer`(atOnce: Bool) async throws {
    let hub = try await Saga.open(storage: MemoryStorage(), username: "hub")
    var users: [Saga] = []
    var connections: [Task<Void, Never>] = []
    for number in 0..<20 {
      let user = try await Saga.open(
        storage: MemoryStorage(), key: hub.key, username: "user \(number)")
      for message in 0..<5 { try await user.writeMessage("\(number) wrote \(message)") }
      users.append(user)
      if !atOnce { connections.append(contentsOf: try await connect(user, hub)) }
    }
    if atOnce {
      for user in users { connections.append(contentsOf: try await connect(user, hub)) }
    }
    for saga in users + [hub] {
      for await event in saga.events() {
        if case .message = event, await saga.messageCount == 100 { break }
        if await saga.messageCount == 100 { break }
      }
    }
    let expected = await hub.messages
    for user in users {
      #expect(await user.messages == expected)
      await user.close()
    }
    await hub.close()
    for connection in connections { await connection.value }
  }

  private func connect(_ one: Saga, _ other: Saga) async throws -> [Task<Void, Never>] {
    let (left, right) = (try await one.replicate(), try await other.replicate())
    return [
      Task { await join(left, right) },
      Task { try? await one.connect(left) },
      Task { try? await other.connect(right) },
    ]
  }
}
