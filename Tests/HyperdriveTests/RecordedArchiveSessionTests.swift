import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import Hyperdrive
import RandomAccessStorage
import Testing

/// Recorded replications of archives, with this implementation at either end.
@Suite(.timeLimit(.minutes(1))) struct RecordedArchiveSessionTests {
  struct Recording: Decodable, Sendable {
    struct Blocks: Decodable, Sendable {
      var metadata: [Data]
      var content: [Data]
    }
    var contentKey: String
    var version: UInt64
    var blocks: Blocks
    var read: String?
    var stored: Stored?
    var files: [String: File]?

    struct Stored: Decodable, Sendable {
      var metadata: [[UInt64]]
      var content: [[UInt64]]
    }

    struct File: Decodable, Sendable {
      var size: Int
      var sha256: String
    }

    init(_ name: String) throws { self = try Fixtures.json("archives/sessions/\(name).json") }
  }

  private func session(_ name: String) throws -> RecordedSession {
    try RecordedSession(name, in: "archives/sessions")
  }

  @Test(arguments: ["archive-full", "archive-one-file", "archive-sparse-metadata"])
  func `in the reader's place a recorded session brings the recorded blocks`(name: String)
    async throws
  {
    let recording = try Recording(name)
    let session = try session(name)
    var options = Archive.Options(key: session.key)
    options.sparse = name != "archive-full"
    options.sparseMetadata = name == "archive-sparse-metadata"
    let archive = try await Archive.inMemory(options: options)
    let peer = try RecordedPeer(session, playing: .a)
    var reading: Task<[UInt8], any Error>?
    var asking: Task<UInt64, any Error>?
    try await peer.replay(with: archive.replicate(session.isLive ? .live : ReplicationOptions())) {
      if let path = recording.read, reading == nil {
        reading = Task { try await archive.read(ArchivePath(path)).collect() }
      }
      // The recorded end announces its content before it sends the entries that lead there; this side requests
      // it later.
      if options.sparse, asking == nil, let content = await archive.content {
        asking = Task { try await content.update(to: 5) }
      }
    }
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")
    if let reading {
      let stat = try await archive.stat(ArchivePath(recording.read ?? ""))
      let range = try #require(stat.blockRange)
      let bytes = recording.blocks.content[Int(range.lowerBound)..<Int(range.upperBound)].flatMap {
        $0
      }
      #expect(try await reading.value == bytes)
    } else {
      #expect(await archive.version == recording.version)
      #expect(await archive.isComplete)
      for (index, block) in recording.blocks.metadata.enumerated() {
        #expect(try await archive.metadata.get(UInt64(index)) == Array(block))
      }
      let content = try #require(await archive.content)
      #expect(content.key?.hex == recording.contentKey)
      for (index, block) in recording.blocks.content.enumerated() {
        #expect(try await content.get(UInt64(index)) == Array(block))
      }
    }
    try await archive.close()
  }

  @Test(arguments: ["archive-full", "archive-one-file", "archive-sparse-metadata"])
  func `in the owner's place a recorded session is answered to its end`(name: String) async throws {
    let recording = try Recording(name)
    let session = try session(name)
    let storage = MemoryStorage()
    for (prefix, key, blocks) in [
      ("metadata/", session.key.hex, recording.blocks.metadata),
      ("content/", recording.contentKey, recording.blocks.content),
    ] {
      let pair = try #require(session.keyPairs.first { $0.publicKey.hex == key })
      let core = try FeedCore.open(
        in: storage, prefix: prefix,
        options: FeedOptions(
          key: pair.publicKey, secretKey: pair.secretKey, storeSecretKey: prefix == "metadata/",
          holdsLock: true))
      for block in blocks { try core.append([Array(block)]) }
      try core.close()
    }
    let archive = try await Archive.open(storage: storage)
    #expect(await archive.isWritable, "the content's secret key is derived")
    let peer = try RecordedPeer(session, playing: .b)
    try await peer.replay(with: archive.replicate(session.isLive ? .live : ReplicationOptions()))
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")
    try await archive.close()
  }

  // MARK: Latest mode

  @Test func `a reader in latest mode follows the recorded owner and keeps what is current alone`()
    async throws
  {
    let recording = try Recording("archive-latest")
    let session = try session("archive-latest")
    var options = Archive.Options(key: session.key)
    options.latest = true
    let archive = try await Archive.inMemory(options: options)
    let peer = try RecordedPeer(session, playing: .a)
    try await peer.replay(with: archive.replicate(.live))
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")
    try await archive.untilComplete()
    #expect(await archive.version == recording.version)
    try await expectStored(recording, archive)
    for (path, file) in recording.files ?? [:] {
      let bytes = try await archive.read(ArchivePath(recorded: path)).collect()
      #expect(bytes.count == file.size)
      #expect(sha256(bytes) == file.sha256, "\(path)")
    }
    try await archive.close()
  }

  @Test func `an owner in latest mode writes what the recorded one wrote while a reader follows`()
    async throws
  {
    let recording = try Recording("archive-latest")
    let session = try session("archive-latest")
    let pair = try #require(session.keyPairs.first { $0.publicKey == session.key })
    var options = Archive.Options()
    (options.keyPair, options.latest) = (pair, true)
    let archive = try await Archive.inMemory(options: options)
    let tree = ArchiveTree(MemoryMetadata(recording.blocks.metadata.map { Array($0) }))
    /// Makes the change that made a version.
    func write(_ seq: UInt64) async throws {
      let entry = try #require(try tree.node(seq)?.entry)
      guard let stat = entry.stat, let range = stat.blockRange else {
        try await archive.remove(entry.path)
        return
      }
      var attributes = FileAttributes()
      (attributes.mtime, attributes.ctime) = (stat.mtime, stat.ctime)
      let bytes = recording.blocks.content[Int(range.lowerBound)..<Int(range.upperBound)]
      try await archive.write(entry.path, bytes.flatMap { $0 }, attributes: attributes)
    }
    for seq in 1...5 { try await write(UInt64(seq)) }
    let peer = try RecordedPeer(session, playing: .b)
    try await peer.replay(with: archive.replicate(.live)) {
      // The recorded reader has all there is: the next change.
      let version = await archive.version
      var asksForMore = false
      for case .message(let feed, .request(let request)) in peer.waitingToSay
      where feed == session.key.discoveryKey && request.index > version {
        asksForMore = true
      }
      if asksForMore, version < recording.version { try await write(version + 1) }
    }
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")
    #expect(await archive.version == recording.version)
    for (index, block) in recording.blocks.metadata.enumerated() {
      #expect(try await archive.metadata.get(UInt64(index)) == Array(block), "\(index)")
    }
    try await expectStored(recording, archive)
    try await archive.close()
  }

  private func expectStored(_ recording: Recording, _ archive: Archive) async throws {
    let content = try #require(await archive.content)
    let stored = try #require(recording.stored?.content).map { $0[0]..<$0[1] }
    for index in 0..<UInt64(recording.blocks.content.count) {
      #expect(
        await content.has(index..<(index + 1)) == stored.contains { $0.contains(index) },
        "block \(index)")
    }
  }
}
