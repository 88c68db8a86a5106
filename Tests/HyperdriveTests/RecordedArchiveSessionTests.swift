import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
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
}
