internal import DatSwarm
internal import DatTesting
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive

/// A folder that follows an archive whose owner is hostile. The archive has a sound file before everything that is
/// hostile and one after it.
final class ArchiveScene: Sendable {
  let victim: Victim
  let key: PublicKey
  private let world: TemporaryFolder
  private let connect: @Sendable () async throws -> ReplicationStream
  private let pumps = Pumps()

  /// The names of the sound files, which are their texts as well.
  static let sound = ["first", "last"]

  private actor Pumps {
    private var tasks: [Task<Void, Never>] = []

    func add(_ stream: ReplicationStream, to port: Int) {
      tasks.append(
        Task {
          let address = PeerAddress(host: "127.0.0.1", port: port)
          try? await TCPDialer.connect(to: address).pump(stream)
        })
    }

    deinit { for task in tasks { task.cancel() } }
  }

  var copy: String { world.path + "/copy" }

  /// - Parameter prepare: called with the path of the world, in which the folder `copy` will be.
  init(
    key: PublicKey, prepare: (String) throws -> Void,
    connect: @escaping @Sendable () async throws -> ReplicationStream
  ) async throws {
    self.key = key
    self.connect = connect
    world = try TemporaryFolder()
    let copy = world.path + "/copy"
    try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
    try prepare(world.path)
    let empty = try await Archive.open(
      workFolder: copy, secretKeys: world.path + "/none", options: Archive.Options(key: key))
    try await empty.close()
    victim = try await Victim(
      ["sync", copy, "--json", "--listen", "127.0.0.1:0"], saysReady: false)
  }

  /// Connects the owner.
  func attack() async throws {
    await pumps.add(try await connect(), to: victim.port)
  }

  /// Returns once a file is in the folder.
  func laidOut(_ name: String) async throws {
    let path = copy + "/" + name
    try await within("laying out \(name)") {
      while !FileManager.default.fileExists(atPath: path) {
        try await Task.sleep(for: .milliseconds(10))
      }
    }
  }

  /// Returns once the victim has printed a line with these words.
  func said(_ what: String, _ words: String) async throws {
    let process = victim.process
    try await within(what) { _ = try await process.line(containing: words) }
  }

  /// Everything in the world but for the archive's own folder.
  func names() throws -> Set<String> {
    Set(
      try FileManager.default.subpathsOfDirectory(atPath: world.path).filter {
        !$0.hasPrefix("copy/.dat/") && !["copy", "copy/.dat"].contains($0)
      })
  }

  /// Checks that the world has these names and no others.
  func requireNames(_ wanted: Set<String>) throws {
    let names = try names()
    try require(names == wanted, "there is \(names.sorted())")
  }

  /// Checks that a new reader gets the sound files from the victim.
  ///
  /// - Parameter areHidden: true if the files can't be found, and their entries have to do.
  func checkHonest(areHidden: Bool) async throws {
    let reader = try await Archive.inMemory(options: Archive.Options(key: key))
    await pumps.add(try await reader.replicate(.live), to: victim.port)
    if areHidden {
      _ = try await within("an honest reader's entry") { try await reader.metadata.get(1) }
    }
    for name in areHidden ? [] : Self.sound {
      let bytes = try await within("an honest reader's \(name)") {
        try await reader.read(ArchivePath(name)).collect()
      }
      try require(bytes == Array(name.utf8), "\(name) is not what was written")
    }
    try await reader.close()
  }
}

extension Attack {
  /// An attack by the owner of an archive on a folder that follows it.
  ///
  /// - Parameter hidesFiles: true if the folder's files can't be found any more.
  static func archive(
    _ row: Int, _ name: String, memory: Int = 32 << 20, hidesFiles: Bool = false,
    prepare: @escaping @Sendable (String) throws -> Void = { _ in },
    signing sign: @escaping @Sendable (EvilArchive) throws -> Void,
    _ check: @escaping @Sendable (ArchiveScene) async throws -> Void
  ) -> Attack {
    Attack(row: row, name: name, memoryLimit: memory, isForNode: false) { _ in
      let evil = EvilArchive()
      try evil.put("/first", "first")
      try sign(evil)
      try evil.put("/last", "last")
      let owner = try await evil.open()
      let scene = try await ArchiveScene(key: owner.key, prepare: prepare) {
        try await owner.replicate(.live)
      }
      return try await scene.victim.measure {
        try await scene.attack()
        try await check(scene)
      } after: {
        try await scene.checkHonest(areHidden: hidesFiles)
      }
    }
  }

  /// An attack by something that is given out for an archive.
  static func noArchive(
    _ row: Int, _ name: String, says words: String, header: @escaping @Sendable (KeyPair) -> [UInt8]
  ) -> Attack {
    Attack(row: row, name: name, memoryLimit: 16 << 20, isForNode: false) { _ in
      let evil = EvilArchive()
      evil.append(header(evil.pair), asHeader: true)
      for number in 0..<1000 { evil.append(Array("junk \(number)".utf8)) }
      let feed = try await evil.openMetadata()
      let scene = try await ArchiveScene(key: evil.pair.publicKey, prepare: { _ in }) {
        try await feed.replicate(.live)
      }
      return try await scene.victim.measure {
        try await scene.attack()
        try await scene.said("the refusal", words)
      } after: {
        try scene.requireNames([])
      }
    }
  }
}
