internal import DatSwarm
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// A typical large room: 20,000 messages by 20 writers, which a newcomer joins, then 1,000 live
/// messages from each side.
enum RoomRows {
  static let all: [Row] = [
    Row(group: "room") { settings in
      let folder = try await RoomFixture.folder(settings)
      let server = try Child(["peer", "serve-room", folder])
      defer { server.kill() }
      let told = try server.expect("port")
      let child = try Child([
        "peer", "join-room", "\(told["key"] ?? "")", "\(told["port"] ?? 0)",
        "\(RoomFixture.messages(settings))", "\(settings.scale(1000))", "0",
      ])
      defer { child.end() }
      let joined = try child.expect("seconds")
      let live = try child.expect("live")
      return [
        Sample(name: "room.join", value: joined["seconds"] as? Double ?? .nan, unit: "s"),
        Sample(
          name: "room.join.memory", value: (joined["peak"] as? Double ?? .nan) / 1e6, unit: "MB"),
        Sample(name: "room.live", value: live["live"] as? Double ?? .nan, unit: "ms"),
        Sample(name: "room.live.p99", value: live["p99"] as? Double ?? .nan, unit: "ms"),
      ]
    }
  ]
}

/// The two sides of the room.
enum RoomPeer {
  static func connect(_ socket: PeerSocket, _ room: Saga, roundTrip: Int = 0) async {
    guard let stream = try? await room.replicate() else { return }
    let meeting = Task {
      _ = await stream.handshake()
      socket.confirm()
      try await room.connect(stream)
    }
    try? await socket.pump(DistantStream.far(stream, roundTrip: roundTrip))
    meeting.cancel()
  }

  /// Answers each live message that begins with `ping` with one of its own.
  static func serve(_ rest: [String]) async throws {
    let room = try await Saga.open(folder: rest[0], username: "host")
    let listener = try await TCPListener(host: "127.0.0.1")
    let serving = Task { await listener.run { await connect($0, room) } }
    let answering = Task {
      for await event in room.events() {
        if case .message(let message) = event, message.text.hasPrefix("ping") {
          try await room.writeMessage("pong" + message.text.dropFirst(4))
        }
      }
    }
    say(["port": listener.address.port, "key": room.key.hex])
    await untilInputEnds()
    serving.cancel()
    answering.cancel()
    await room.close()
  }

  static func join(_ rest: [String]) async throws {
    guard rest.count >= 5, let key = PublicKey(hex: rest[0]), let port = Int(rest[1]),
      let expected = Int(rest[2]), let rounds = Int(rest[3]), let roundTrip = Int(rest[4])
    else { throw BenchFailure("join-room key port messages rounds roundtrip [folder]") }
    let start = ContinuousClock.now
    let worked = Memory.processorSeconds
    var options = Saga.Options()
    // One writer of a million messages is beyond a writer's usual share.
    options.database.disk = DiskLimits(perWriter: 4 << 30, inAll: 8 << 30)
    let storage: any StorageProvider =
      rest.count > 5 ? FolderStorage(path: rest[5]) : MemoryStorage()
    let room = try await Saga.open(
      storage: storage, key: key, username: "newcomer", options: options)
    var events = room.events().makeAsyncIterator()
    let connection = Task {
      await connect(
        try await TCPDialer.connect(to: PeerAddress(host: "127.0.0.1", port: port)), room,
        roundTrip: roundTrip)
    }
    var shown = 0
    while shown < expected, let event = await events.next() {
      if case .message = event { shown += 1 }
    }
    let time =
      getenv(Memory.cpuSwitch) == nil
      ? (ContinuousClock.now - start).seconds : Memory.processorSeconds - worked
    say(["seconds": time, "peak": Double(Memory.peak)])
    if rounds == 0 { return await untilInputEnds() }
    while await !room.db.isLocalAuthorized { try await Task.sleep(for: .milliseconds(20)) }
    try await Task.sleep(for: .milliseconds(200))
    var times: [Double] = []
    for round in 0..<rounds {
      // The room has messages of earlier runs.
      let name = " \(round) \(room.db.localKey)"
      let start = ContinuousClock.now
      try await room.writeMessage("ping" + name)
      while let event = await events.next() {
        if case .message(let message) = event, message.text == "pong" + name { break }
      }
      // Halved, since the message went there and back.
      times.append((ContinuousClock.now - start).seconds / 2)
    }
    say(["live": times.median * 1e3, "p99": times.percentile(99) * 1e3])
    await untilInputEnds()
    connection.cancel()
  }
}

/// A room that 20 people have written, in turns.
actor RoomFixture {
  private static let shared = RoomFixture()
  private var folder: String?
  private static let writers = 20
  private static let turn = 25

  static func messages(_ settings: Settings) -> Int { settings.scale(20_000) }

  static func folder(_ settings: Settings) async throws -> String {
    try await shared.folder(messages(settings))
  }

  private func folder(_ count: Int) async throws -> String {
    if let folder { return folder }
    let folder = Scratch.folder()
    self.folder = folder
    var rooms = [try await Saga.open(folder: folder, username: "user 0")]
    try await rooms[0].writeMessage("welcome")
    for number in 1..<Self.writers {
      let room = try await Saga.open(
        storage: MemoryStorage(), key: rooms[0].key, username: "user \(number)")
      try await rooms[0].authorize(room.db.localKey)
      rooms.append(room)
    }
    // A star around the first room.
    for room in rooms.dropFirst() { try await Self.link(rooms[0], room) }
    for room in rooms { while await !room.db.isLocalAuthorized { await Task.yield() } }
    var written = 1
    while written < count {
      for room in rooms where written < count {
        // A writer has read what was written before.
        while await room.messageCount < written { try await Task.sleep(for: .milliseconds(1)) }
        for _ in 0..<min(Self.turn, count - written) {
          try await room.writeMessage("This is message number \(written) of a room with many.")
          written += 1
        }
      }
    }
    while await rooms[0].messageCount < count { try await Task.sleep(for: .milliseconds(1)) }
    for room in rooms.reversed() { await room.close() }
    return folder
  }

  /// Connects two rooms within this process.
  private static func link(_ one: Saga, _ other: Saga) async throws {
    let left = try await one.replicate()
    let right = try await other.replicate()
    for (from, to) in [(left, right), (right, left)] {
      Task {
        while let bytes = await from.nextOutput() { await to.receive(bytes) }
        await to.finishInput()
      }
    }
  }
}
