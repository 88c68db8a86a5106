import DatHost
import DatSwarm
import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Saga
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct HostTests {
  private func room(_ name: String, key: PublicKey? = nil) async throws -> Saga {
    try await Saga.open(storage: MemoryStorage(), key: key, username: name)
  }

  @Test func `people who are never there together talk through the host, which lets them in`()
    async throws
  {
    let world = try await HostWorld()
    let ana = try await room("ana")
    try await world.host.add(HostedKey(kind: .room, key: ana.key))
    try await ana.writeMessage("from ana")
    var swarm = await world.connect(ana)
    await waits(ana) { if case .join(let user) = $0 { user.username == "host" } else { false } }
    _ = try await world.waitUntil(ana.key) {
      $0.isWriter && $0.stored == $0.length && $0.stored > 2
    }
    await swarm.close()

    let bea = try await room("bea", key: ana.key)
    swarm = await world.connect(bea)
    await waits(bea) {
      if case .message(let message) = $0 { message.text == "from ana" } else { false }
    }
    try await waitsToWrite(bea)
    let written = try await bea.writeMessage("from bea")
    let seq = try #require(await bea.message(written)?.seq)
    while await bea.db.uploadedLength <= seq { try await Task.sleep(for: .milliseconds(5)) }
    await bea.close()
    await swarm.close()

    swarm = await world.connect(ana)
    await waits(ana) {
      if case .message(let message) = $0 { message.text == "from bea" } else { false }
    }
    await swarm.close()
    await ana.close()
    await world.close()
  }

  @Test func `what a key is shows by its first block and its entries`() async throws {
    let world = try await HostWorld()
    let feed = try await Feed.inMemory()
    try await feed.append([["one", "two"]].joined().map { Array($0.utf8) })
    let database = try await HyperDB.inMemory()
    try await database.put("people/ana", Array("1".utf8))
    let ana = try await room("ana")
    try await ana.writeMessage("hello")
    for key in [try #require(feed.key), database.key, ana.key] {
      #expect(try await world.host.add(HostedKey(key: key)).state == .waiting)
    }
    let swarms = [
      await world.connect(feed), await world.connect(database), await world.connect(ana),
    ]
    let feedStatus = try await world.waitUntil(try #require(feed.key)) { $0.stored == 2 }
    #expect(feedStatus.kind == .feed)
    #expect(try await world.waitUntil(database.key) { $0.stored == 2 }.kind == .database)
    #expect(try await world.waitUntil(ana.key) { $0.isWriter }.kind == .room)
    for swarm in swarms { await swarm.close() }
    // What a key is shows a moment before it is noted in the list. The database may become a room yet.
    let noted = [
      "room:\(ana.key.hex)", "feed:\(try #require(feed.key).hex)", "any:\(database.key.hex)",
    ]
    var missing = noted
    while !missing.isEmpty {
      let list = try String(contentsOfFile: world.folder.path + "/host/keys", encoding: .utf8)
      missing = noted.filter { !list.contains($0) }
      if !missing.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    }
    await world.close()
  }

  @Test func `what was hosted is there after a restart, what was removed is not`() async throws {
    let folder = try TemporaryFolder()
    var world = try await HostWorld(folder: folder)
    let feed = try await Feed.inMemory()
    try await feed.append(Array("block".utf8))
    let key = try #require(feed.key)
    let other = KeyPair.generate().publicKey
    try await world.host.add(HostedKey(key: key))
    try await world.host.add(HostedKey(kind: .room, key: other))
    let swarm = await world.connect(feed)
    _ = try await world.waitUntil(key) { $0.stored == 1 }
    await swarm.close()
    try await feed.close()
    try await world.host.remove(other)
    await world.close()

    world = try await HostWorld(folder: folder)
    let status = await world.host.status()
    #expect(status.map(\.key) == [key])
    #expect(status.first?.stored == 1)
    // A reader who comes now gets it from the host alone.
    let reader = try await Feed.inMemory(options: Feed.Options(key: key))
    let reading = await world.connect(reader)
    #expect(try await reader.get(0) == Array("block".utf8))
    await reading.close()
    try await world.host.remove(key, deletingData: true)
    #expect(!FileManager.default.fileExists(atPath: try #require(status.first).folder))
    await world.close()
  }

  @Test func `adding twice changes nothing, and a kind may be named later`() async throws {
    let world = try await HostWorld()
    let key = KeyPair.generate().publicKey
    #expect(try await world.host.add(HostedKey(key: key)).state == .waiting)
    #expect(try await world.host.add(HostedKey(key: key)).state == .waiting)
    #expect(try await world.host.add(HostedKey(kind: .room, key: key)).kind == .room)
    #expect(try await world.host.add(HostedKey(key: key)).kind == .room)
    #expect(await world.host.status().count == 1)
    await #expect { try await world.host.remove(KeyPair.generate().publicKey) } throws: {
      ($0 as? HostError)?.code == .unknownKey
    }
    await world.close()
  }

  @Test func `a policy that lets nobody in is kept to`() async throws {
    var options = ReplicaHost.Options()
    options.authorization = .decide { _ in false }
    let world = try await HostWorld(options: options)
    let ana = try await room("ana")
    try await world.host.add(HostedKey(kind: .room, key: ana.key))
    try await ana.writeMessage("hello")
    var swarm = await world.connect(ana)
    _ = try await world.waitUntil(ana.key) { $0.isWriter && $0.stored == $0.length }
    await swarm.close()
    let bea = try await room("bea", key: ana.key)
    swarm = await world.connect(bea)
    await waits(bea) { if case .message = $0 { true } else { false } }
    await waits(bea) { if case .join = $0 { true } else { false } }
    #expect(await bea.db.isLocalAuthorized == false)
    await swarm.close()
    await world.close()
  }

  @Test func `a folder has one host at a time, and is its owner's alone`() async throws {
    let world = try await HostWorld()
    await #expect {
      _ = try await ReplicaHost.open(folder: world.host.path, swarm: world.swarm)
    } throws: {
      ($0 as? HostError)?.code == .folder
    }
    let mode = try FileManager.default.attributesOfItem(atPath: world.host.path)[.posixPermissions]
    #expect(mode as? Int == 0o700)
    await world.close()
    let again = try await ReplicaHost.open(folder: world.host.path, swarm: Swarm())
    await again.close()
  }

  @Test func `a list that can't be read stops the host, and stays as it is`() async throws {
    let folder = try TemporaryFolder()
    let list = folder.path + "/keys"
    // As an editor of another system writes it.
    try Data("\u{feff}# two\r\nroom:\(String(repeating: "ab", count: 32))\r\n\r\n".utf8)
      .write(to: URL(fileURLWithPath: list))
    let sound = try await ReplicaHost.open(folder: folder.path, swarm: Swarm())
    #expect(await sound.status().map(\.kind) == [.room])
    await sound.close()
    try Data("# mine\nroom:xyz\n".utf8).write(to: URL(fileURLWithPath: list))
    await #expect {
      _ = try await ReplicaHost.open(folder: folder.path, swarm: Swarm())
    } throws: {
      guard let error = $0 as? HostError else { return false }
      return error.code == .malformedFile && error.reason.contains("line 2")
    }
    #expect(try String(contentsOfFile: list, encoding: .utf8) == "# mine\nroom:xyz\n")
  }

  @Test func `a replica that can't be opened is shown, and the others go on`() async throws {
    let folder = try TemporaryFolder()
    let (bad, good) = (KeyPair.generate().publicKey, KeyPair.generate().publicKey)
    let place = "\(folder.path)/host/replicas/\(bad.discoveryKey.hex)"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    try Data("some other program's file".utf8).write(to: URL(fileURLWithPath: place + "/tree"))
    let world = try await HostWorld(folder: folder)
    let status = try await world.host.add(HostedKey(kind: .feed, key: bad))
    #expect(status.state == .failed)
    #expect(status.problem?.isEmpty == false)
    #expect(try await world.host.add(HostedKey(kind: .feed, key: good)).state == .hosting)
    await world.close()
  }
}
