internal import DatSwarm
internal import DatTesting
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import HyperDB
internal import RandomAccessStorage
internal import Saga

/// A user of a room that was authorized to write and makes entries by hand.
actor EvilWriter {
  nonisolated let replica: Replica
  nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }
  nonisolated let pair: KeyPair
  private let room: PublicKey
  private let source: Replicator
  private let own: Replicator
  private var pump: Task<Void, Never>?

  /// - Parameter other: a feed whose key has to sort after the writer's own.
  init(_ room: PublicKey, sortingBefore other: PublicKey? = nil) throws {
    replica = Replica()
    self.room = room
    var pair = KeyPair.generate()
    while let other, !pair.publicKey.bytes.lexicographicallyPrecedes(other.bytes) {
      pair = KeyPair.generate()
    }
    self.pair = pair
    source = Replicator(
      core: try FeedCore.open(in: MemoryStorage(), options: FeedOptions(key: room)))
    own = Replicator(
      core: try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: pair)))
    try own.core.append([EntryMessageCodec.header])
  }

  deinit { pump?.cancel() }

  /// Joins the room, so that everybody in it authorizes this user to write.
  func join(_ port: Int) async throws {
    var options = ReplicationOptions.live
    options.userData = UserData(key: pair.publicKey, username: "evil", timestamp: 1).bytes
    let connection = Connection(
      options: options.connectionOptions(defaultID: randomBytes(32)), now: .now)
    let session = ReplicationSession(connection: connection, expectedFeeds: 0, now: .now)
    let (own, name) = (own, pair.publicKey.discoveryKey)
    session.hooks.onFeed = { [unowned session] key in
      if key == name { try session.open(own, download: false) }
    }
    try session.open(source, download: true)
    let stream = await ReplicationStream(OnReplica(session, on: replica))
    let socket = try await TCPDialer.connect(to: PeerAddress(host: "127.0.0.1", port: port))
    pump = Task { try? await socket.pump(stream) }
  }

  /// The index of the next block.
  var nextSeq: UInt64 { own.core.length }

  /// The list of feeds in its entries: the room's, then its own.
  nonisolated var list: [[UInt8]] { [room.bytes, pair.publicKey.bytes] }

  /// Appends a block as it is.
  func append(_ block: [UInt8]) throws {
    try own.core.append([block])
    try own.flush()
  }

  /// Appends an entry that is valid except for the effect of `change`.
  func append(
    _ key: String, _ value: [UInt8], change: @Sendable (inout EntryMessage) -> Void = { _ in }
  ) throws {
    let seq = own.core.length
    var message = EntryMessage(key: Array(key.utf8), value: value)
    message.clock = [0, seq + 1]
    message.inflate = 1
    if seq == 1 { message.feeds = list }
    change(&message)
    try append(EntryMessageCodec().encode(message))
  }

  /// Appends a message that everybody can read.
  func say(_ text: String) throws {
    let key = "messages/\(pair.publicKey.hex.prefix(8))/\(own.core.length)"
    try append(
      key, MessageContent(text: text, username: "evil", timestamp: 1).value(key: key))
  }
}
