public import DatWeb
public import HypercoreCrypto
public import Saga

/// A room without a network behind it: what happens in it is what a test says.
public actor FakeRoom: RoomSource {
  public nonisolated let me: RoomIdentity
  /// In order.
  public private(set) var messages: [Message]
  private var people: [UserData] = []
  private var requests: [UserData] = []
  private var isAuthorized: Bool
  private let stream: AsyncStream<SagaEvent>
  private let teller: AsyncStream<SagaEvent>.Continuation
  private var others: [FakeRoom] = []
  private var clock: Int64
  private var count = 0
  /// The requests that were accepted and refused, in order.
  public private(set) var answers: [(key: PublicKey, accepted: Bool)] = []
  /// Thrown by the next write.
  private var writeError: (any Error)?

  public init(
    _ username: String, room: PublicKey, asks: Bool = false, isAuthorized: Bool = true,
    messages: [Message] = [], clock: Int64 = 1_700_000_000_000
  ) {
    me = RoomIdentity(room: room, own: Self.key(username), username: username, asks: asks)
    self.messages = messages.sorted { $0.place < $1.place }
    self.isAuthorized = isAuthorized
    self.clock = clock
    (stream, teller) = AsyncStream.makeStream()
  }

  /// A key that follows from a name.
  public static func key(_ name: String) -> PublicKey {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var bytes: [UInt8] = []
    for round in 0..<32 {
      for byte in Array(name.utf8) + [UInt8(round)] {
        hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
      }
      bytes.append(UInt8(truncatingIfNeeded: hash >> 29))
    }
    return PublicKey(bytes: bytes) ?? PublicKey()
  }

  public nonisolated var identity: RoomIdentity { me }
  public nonisolated var person: UserData {
    UserData(key: me.own, username: me.username, timestamp: 1_700_000_000_000)
  }

  public func events() -> AsyncStream<SagaEvent> { stream }

  public var state: RoomState {
    RoomState(people: people, requests: requests, isAuthorized: isAuthorized, ownSeq: 0)
  }

  public func write(_ text: String) async throws -> Message.ID {
    if let error = writeError {
      writeError = nil
      throw error
    }
    count += 1
    clock += 1
    let message = Message(
      id: Message.ID(key: "messages/\(me.username)/\(count)", feed: me.own), text: text,
      username: me.username, timestamp: clock, seq: UInt64(count))
    tell(.message(message))
    for other in others { await other.tell(.message(message)) }
    if !others.isEmpty { tell(.sent(seq: message.seq)) }
    return message.id
  }

  public func failNextWrite(_ error: any Error) { writeError = error }
  public func setClock(_ time: Int64) { clock = time }

  public func accept(_ key: PublicKey) { answers.append((key, true)) }
  public func refuse(_ key: PublicKey) { answers.append((key, false)) }
  public func setMuted(_ isMuted: Bool, _ key: PublicKey) {}

  /// Makes something happen.
  public func tell(_ event: SagaEvent) {
    switch event {
    case .message(let message), .edit(let message):
      messages.removeAll { $0.id == message.id }
      let place = messages.firstIndex { message.place < $0.place } ?? messages.count
      messages.insert(message, at: place)
    case .removal(let message): messages.removeAll { $0.id == message.id }
    default: break
    }
    teller.yield(event)
  }

  /// Ends the room's events.
  public func end() { teller.finish() }

  /// Connects two rooms: each learns the other's messages and sees the other come.
  public func meet(_ other: FakeRoom) async {
    others.append(other)
    await other.add(self)
    tell(.join(other.person))
    await other.tell(.join(person))
    let theirs = await other.messages
    let known = Set(messages.map(\.id))
    let theirKnown = Set(theirs.map(\.id))
    for message in messages where !theirKnown.contains(message.id) {
      await other.tell(.message(message))
      if message.feed == me.own { tell(.sent(seq: message.seq)) }
    }
    for message in theirs where !known.contains(message.id) {
      tell(.message(message))
      if message.feed == other.me.own { await other.tell(.sent(seq: message.seq)) }
    }
  }

  /// Takes the connection away again.
  public func part(_ other: FakeRoom) async {
    others.removeAll { $0 === other }
    await other.remove(self)
    tell(.leave(other.person))
    await other.tell(.leave(person))
  }

  private func add(_ other: FakeRoom) { others.append(other) }
  private func remove(_ other: FakeRoom) { others.removeAll { $0 === other } }
}

/// Messages of a few people over some days.
public func madeUpMessages(
  _ count: Int, until end: Int64, people: [String] = ["ana", "bea", "cai"]
)
  -> [Message]
{
  let words = [
    "the kettle is on", "did you see the snow?", "I'll bring the maps",
    "the ferry leaves at nine, and the next one not before noon, so let's be early",
    "yes", "that works for me", "let me look", "https://example.com/a/path?of=links",
    "`swift build` went through", "hm, not sure about that one",
  ]
  return (0..<count).map { index in
    let name = people[(index / 3 + index / 7) % people.count]
    return Message(
      id: Message.ID(key: "messages/made-up/\(index)", feed: FakeRoom.key(name)),
      text: "\(words[index % words.count]) (\(index))", username: name,
      timestamp: end - Int64(count - index) * 95_000, seq: UInt64(index + 1))
  }
}
