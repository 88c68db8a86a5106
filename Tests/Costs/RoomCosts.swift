internal import DatTesting
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// Messages of a room on their way to another one, in memory, both ends counted.
///
/// Both ends are on one replica, so that the same things are done each time; what the tasks between them do
/// still depends a little on the scheduler.
enum RoomCosts {
  static let all: [CostRow] = [
    CostRow("room.message") { try await live() },
    CostRow("room.join") { try await join() },
  ]

  private static func open(
    _ name: String, key: PublicKey?, seed: UInt64, on replica: Replica
  ) async throws -> Saga {
    var options = Saga.Options().database
    var random = SeededRandom(seed: seed)
    let pair = KeyPair(seed: random.bytes(32))
    if key == nil { options.keyPair = pair } else { options.localKeyPair = pair }
    options.isNew = true
    options.makeRandom = { SeededRandom(seed: seed) }
    options.readsAllEntries = true
    let db = try await HyperDB.open(
      storage: MemoryStorage(), key: key, options: options, replica: replica)
    let saga = await Saga(db: db, username: name)
    await saga.initialize()
    return saga
  }

  /// The tasks that carry a connection, ended together.
  private struct Wire {
    let streams: [ReplicationStream]
    let tasks: [Task<Void, Never>]

    init(_ one: Saga, _ other: Saga) async throws {
      let (left, right) = (try await one.replicate(), try await other.replicate())
      streams = [left, right]
      tasks = [
        Task { await DatTesting.join(left, right) }, Task { try? await one.connect(left) },
        Task { try? await other.connect(right) },
      ]
    }

    func end() async {
      for stream in streams { await stream.close() }
      for task in tasks { await task.value }
    }
  }

  private static func live() async throws -> Cost {
    let replica = Replica()
    let ana = try await open("ana", key: nil, seed: 1, on: replica)
    let bea = try await open("bea", key: ana.key, seed: 2, on: replica)
    var events = bea.events().makeAsyncIterator()
    let wire = try await Wire(ana, bea)
    func send(_ range: Range<Int>) async throws {
      for number in range {
        let text = "message \(number) of a room that is measured"
        try await ana.writeMessage(text)
        while let event = await events.next() {
          if case .message(let message) = event, message.text == text { break }
        }
      }
    }
    try await send(100..<300)
    let result = try await cost(of: 500) { try await send(300..<800) }
    await wire.end()
    await bea.close()
    await ana.close()
    return result
  }

  /// A newcomer's first connection to a room of 1,000 messages, until it shows all of them.
  private static func join() async throws -> Cost {
    let replica = Replica()
    let ana = try await open("ana", key: nil, seed: 1, on: replica)
    for number in 0..<1000 { try await ana.writeMessage("message \(number) of a room to join") }
    let bea = try await open("bea", key: ana.key, seed: 2, on: replica)
    var events = bea.events().makeAsyncIterator()
    var wire: Wire?
    let result = try await cost(of: 1000) {
      wire = try await Wire(ana, bea)
      var shown = 0
      while shown < 1000, let event = await events.next() {
        if case .message = event { shown += 1 }
      }
    }
    await wire?.end()
    await bea.close()
    await ana.close()
    return result
  }
}
