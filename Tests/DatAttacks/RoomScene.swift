internal import DatSwarm
internal import DatTesting
internal import Foundation
internal import Hypercore
internal import HyperDB
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// A room that the victim keeps open, with an honest user connected to it.
final class RoomScene: Sendable {
  let victim: Victim
  let key: PublicKey
  let folder: TemporaryFolder
  let honest: Saga
  private let events: Events
  private let pump: Task<Void, Never>

  /// The texts of the messages that the honest user has seen.
  private actor Events {
    private var texts: Set<String> = []
    private var waiters: [(String, CheckedContinuation<Void, Never>)] = []
    private var isAuthorized = false
    private var authorizedWaiters: [CheckedContinuation<Void, Never>] = []

    func follow(_ saga: Saga) async {
      for await event in saga.events() {
        switch event {
        case .message(let message): add(message.text)
        case .authorized: authorize()
        default: continue
        }
      }
    }

    private func add(_ text: String) {
      texts.insert(text)
      for (wanted, waiter) in waiters where wanted == text { waiter.resume() }
      waiters.removeAll { $0.0 == text }
    }

    private func authorize() {
      isAuthorized = true
      for waiter in authorizedWaiters { waiter.resume() }
      authorizedWaiters = []
    }

    func wait(for text: String) async {
      if texts.contains(text) { return }
      await withCheckedContinuation { waiters.append((text, $0)) }
    }

    func waitUntilAuthorized() async {
      if isAuthorized { return }
      await withCheckedContinuation { authorizedWaiters.append($0) }
    }
  }

  /// - Parameter options: further options of the victim's.
  init(_ options: [String] = []) async throws {
    folder = try TemporaryFolder()
    victim = try await Victim(
      [
        "chat", folder.path + "/room", "--name", "victim", "--listen", "127.0.0.1:0", "--json",
      ] + options)
    guard let key = PublicKey(hex: victim.key) else { throw AttackFailure("no key") }
    self.key = key
    honest = try await Saga.open(storage: MemoryStorage(), key: key, username: "honest")
    let (saga, port, events) = (honest, victim.port, Events())
    self.events = events
    pump = Task { await Self.connect(saga, port) }
    Task { await events.follow(saga) }
    try await within("the honest user's authorization") { await events.waitUntilAuthorized() }
    try await checkHonest("before the attack")
  }

  deinit {
    pump.cancel()
    let saga = honest
    Task { await saga.close() }
  }

  static func connect(_ saga: Saga, _ port: Int) async {
    do {
      let socket = try await TCPDialer.connect(to: PeerAddress(host: "127.0.0.1", port: port))
      let stream = try await saga.replicate()
      Task { try? await saga.connect(stream) }
      try await socket.pump(stream)
    } catch {
      return
    }
  }

  func attacker(
    greets: Bool = true, handshake: [UInt8] = [0x10, 0x01], from source: String? = nil
  ) async throws -> Attacker {
    let (port, key) = (victim.port, key)
    return try await blocking {
      try Attacker(port, key, greets: greets, handshake: handshake, from: source)
    }
  }

  /// Checks that a message arrives in each direction.
  func checkHonest(_ when: String) async throws {
    let (events, process) = (events, victim.process)
    let text = "from the victim \(UInt32.random(in: .min ... .max))"
    await process.send(text)
    try await within("a message of the victim's \(when)") { await events.wait(for: text) }
    let answer = "from an honest user \(UInt32.random(in: .min ... .max))"
    try await honest.writeMessage(answer)
    try await within("a message to the victim \(when)") {
      _ = try await process.line(containing: answer)
    }
  }

  /// Waits until the victim prints a line with this text.
  func said(_ what: String, _ words: String) async throws {
    let process = victim.process
    try await within(what) {
      _ = try await process.line(containing: words)
    }
  }

  /// Waits until the honest user has a message, new or old.
  func honestHears(_ text: String) async throws {
    let events = events
    try await within("\"\(text)\" at the honest user's") { await events.wait(for: text) }
  }

  /// The number of feeds that the honest user knows.
  func feedCount() async -> Int { await honest.db.feedCount }

  /// The messages that the honest user sees.
  func texts() async -> [String] { await honest.messages.map(\.text) }

  /// The messages that the honest user sees, in full.
  func messages() async -> [Message] { await honest.messages }

  /// The victim's messages, as the honest user sees them: their keys and sequence numbers.
  func messagesOfVictim() async -> [(key: String, seq: UInt64)] {
    await honest.messages.filter { $0.feed == key }.map { ($0.key, $0.seq) }
  }

  func isAuthorized(_ key: PublicKey) async -> Bool { await honest.db.isAuthorized(key) }

  func measure(_ attack: () async throws -> Void) async throws -> Cost {
    try await victim.measure(attack) { try await checkHonest("after the attack") }
  }
}
