internal import DatSwarm
internal import DatWeb
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// The rooms of a folder, each in a folder of its own below it, open and connected while this exists.
actor RoomFolder: RoomDirectory {
  /// One room that is open.
  struct OpenRoom {
    let saga: Saga
    let view: RoomView
    let folder: String
    var notes: RoomNotes
    var follower: Task<Void, Never>
  }

  let path: String
  nonisolated let username: String
  nonisolated var canAdd: Bool { true }
  private let options: Saga.Options
  private let patience: Duration
  let swarm: Swarm?
  private let peers: [PeerAddress]
  /// Receives the errors of all rooms.
  private let complain: @Sendable (String) -> Void
  var open: [PublicKey: OpenRoom] = [:]
  private var opening: [PublicKey: Task<RoomView, any Error>] = [:]
  var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
  private var lastListener = 0

  /// - Parameters:
  ///   - username: the name to use in rooms for which none is noted.
  ///   - swarm: provides the connections; nil for only what is stored.
  ///   - peers: addresses at which every room is looked for.
  init(
    path: String, username: String, options: Saga.Options, patience: Duration, swarm: Swarm?,
    peers: [PeerAddress], complain: @escaping @Sendable (String) -> Void
  ) {
    self.path = path
    self.username = username
    self.options = options
    self.patience = patience
    self.swarm = swarm
    self.peers = peers
    self.complain = complain
  }

  /// Opens every room of the folder. One that can't be opened is reported and left out.
  func openAll() async throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    for name in try FileManager.default.contentsOfDirectory(atPath: path).sorted() {
      let folder = "\(path)/\(name)"
      // Moved aside by `dat rekey`, or not finished by it.
      guard !name.contains(".forked-"), !name.hasSuffix(".recovering") else { continue }
      guard FileManager.default.fileExists(atPath: "\(folder)/source/key") else { continue }
      do {
        guard try await Self.isRoom(folder) else { continue }
        let saga = try await saga(in: folder, key: nil)
        if open[saga.key] == nil {
          await add(saga, folder)
        } else {
          complain("\(name) is a second copy of a room of this folder and stays closed")
          await saga.close()
        }
      } catch {
        complain("\(name) can't be opened: \(Problem.sentence(for: error))")
      }
    }
  }

  /// Returns whether a database is a room: it has messages or operations, was a room for a user here before, or
  /// has nothing at all yet.
  ///
  /// The database is read without a change: opened as a room, it would get a room's index.
  static func isRoom(_ folder: String) async throws -> Bool {
    if RoomNotes.exist(in: folder) { return true }
    var options = HyperDB.Options()
    // There is no connection to wait for.
    options.update = false
    let db = try await HyperDB.open(folder: folder, access: .readOnly, options: options)
    let result = await Result<Bool, any Error>.of { try await isRoom(db) }
    await db.close()
    return try result.get()
  }

  private static func isRoom(_ db: HyperDB) async throws -> Bool {
    for prefix in ["messages", "operations"] {
      if try await !db.get(prefix: prefix).isEmpty { return true }
    }
    for try await _ in db.list() { return false }
    return true
  }

  /// Closes all rooms.
  func close() async {
    for room in open.values {
      room.follower.cancel()
      await room.view.close()
      await swarm?.leave(room.saga.db.discoveryKey)
      await room.saga.close()
    }
    open = [:]
    for listener in listeners.values { listener.finish() }
  }

  // MARK: Requests of the page

  func rooms() -> [RoomView] {
    open.values.sorted { $0.saga.key.hex < $1.saga.key.hex }.map(\.view)
  }

  func makeRoom(username: String) async throws -> RoomView {
    var options = self.options
    let pair = KeyPair.generate()
    options.database.keyPair = pair
    options.database.isNew = true
    return try await openRoom(pair.publicKey, username: username, options: options, key: nil)
  }

  func joinRoom(_ key: PublicKey, username: String) async throws -> RoomView {
    if let room = open[key] { return room.view }
    return try await openRoom(key, username: username, options: options, key: key)
  }

  func didRead(_ room: PublicKey, upTo place: Message.Place) {
    change(room) { $0.read = place }
  }

  func changes() -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    lastListener += 1
    let number = lastListener
    listeners[number] = continuation
    continuation.onTermination = { [weak self] _ in Task { await self?.removeListener(number) } }
    return stream
  }

  private func removeListener(_ listener: Int) { listeners[listener] = nil }

  // MARK: Opening

  /// Opens the room of a key in the folder of that name, once, however often it is called.
  private func openRoom(
    _ name: PublicKey, username: String, options: Saga.Options, key: PublicKey?
  ) async throws -> RoomView {
    if let task = opening[name] { return try await task.value }
    let task = Task {
      let folder = "\(path)/\(name.hex)"
      let saga = try await saga(in: folder, key: key, username: username, options: options)
      var notes = RoomNotes(folder: folder)
      notes.name = username
      do { try notes.write(folder: folder) } catch { complain(Problem.sentence(for: error)) }
      return await add(saga, folder)
    }
    opening[name] = task
    defer { opening[name] = nil }
    return try await task.value
  }

  func saga(
    in folder: String, key: PublicKey?, username: String? = nil, options: Saga.Options? = nil
  ) async throws -> Saga {
    let notes = RoomNotes(folder: folder)
    var options = options ?? self.options
    options.muted = notes.mutedKeys
    return try await Saga.open(
      folder: folder, key: key, username: username ?? notes.name ?? self.username, options: options)
  }

  @discardableResult
  func add(_ saga: Saga, _ folder: String) async -> RoomView {
    for (feed, report) in await saga.db.repairReports {
      for finding in report.findings { complain("feed \(feed): \(finding)") }
    }
    let notes = RoomNotes(folder: folder)
    let asks = if case .ask = options.authorization { true } else { false }
    let key = saga.key
    let source = SagaRoom(saga, asks: asks) { [weak self] muted in
      await self?.change(key) { $0.setMuted(muted) }
    }
    let view = RoomView(source, patience: patience)
    if let read = notes.read { await view.markRead(upTo: read) }
    await view.open()
    let follower = Task { [complain] in
      for await event in saga.events(stored: .none) {
        switch event {
        case .error(let error): complain(error.reason)
        case .forked(let evidence):
          let sentence = Saga.sentence(for: evidence, own: saga.db.localKey)
          complain("\(SafeText.line(folder)): \(sentence)")
        default: break
        }
      }
    }
    open[key] = OpenRoom(
      saga: saga, view: view, folder: folder, notes: notes, follower: follower)
    if let swarm {
      let topic = saga.db.discoveryKey
      await swarm.join(topic) { _ in
        try await saga.replicate()
      } meet: { stream, peer in
        // A peer without a user replicates all the same.
        try? await saga.connect(stream, from: peer.address.host)
      }
      for peer in peers { await swarm.connect(to: peer, about: topic) }
    }
    for listener in listeners.values { listener.yield() }
    return view
  }

  private func change(_ room: PublicKey, _ change: (inout RoomNotes) -> Void) {
    guard var notes = open[room]?.notes, let folder = open[room]?.folder else { return }
    change(&notes)
    open[room]?.notes = notes
    do { try notes.write(folder: folder) } catch {
      complain(
        "what is read and muted can't be noted in \(folder): \(Problem.sentence(for: error))")
    }
  }
}
