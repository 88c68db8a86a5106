import DatCoding
import DatTesting
import Foundation
import RandomAccessStorage
import Testing

@testable import Hypercore
@testable import HypercoreCrypto

@Suite struct RecordedFeedTests {
  @Test(arguments: RecordedFeed.all)
  func `a recorded feed opens as the reference describes it`(_ feed: RecordedFeed) throws {
    let copy = try OpenedCopy(feed)
    let core = copy.core
    #expect(core.report.isHealthy, "\(core.report)")
    #expect(core.key?.hex == feed.key)
    #expect(core.discoveryKey?.hex == feed.discoveryKey)
    #expect(core.length == feed.length)
    #expect(core.byteLength == feed.byteLength)
    #expect(core.downloaded() == feed.downloaded)
    #expect(core.isLive == feed.live)
    // A static feed was recorded by the process that made it; opened again it is final.
    #expect(core.isWritable == (feed.writable && feed.live))
    #expect(core.secretKey?.bytes == feed.secretKey.flatMap { [UInt8](hex: $0) })
    #expect(core.roots == (feed.roots ?? []).map(\.node))
    if let hash = feed.treeHash { #expect(core.treeHash.hex == hash) }
  }

  @Test(arguments: RecordedFeed.all)
  func `opening and closing a recorded feed changes no byte`(_ feed: RecordedFeed) throws {
    let folder = try TemporaryFolder(copyOf: feed.folder)
    let before = try contents(of: folder)
    for access in [StorageAccess.readOnly, .readWrite] {
      let core = try FeedCore.open(in: FolderStorage(path: folder.path, access: access))
      #expect(core.length == feed.length)
      try core.close()
      #expect(try contents(of: folder) == before)
    }
  }

  @Test(arguments: RecordedFeed.all)
  func `the blocks of a recorded feed are read, alone and in a row`(_ feed: RecordedFeed) throws {
    let core = try OpenedCopy(feed).core
    let expected = feed.blockBytes
    var read: [[UInt8]?] = []
    for index in 0..<feed.length {
      let block = try core.block(at: index)
      if core.has(index) != (block != nil) { Issue.record("block \(index)") }
      read.append(block)
    }
    if let expected { #expect(read == expected) }
    #expect(try core.block(at: feed.length) == nil)
    // Every run of stored blocks at once.
    var start: UInt64 = 0
    while let first = core.nextStored(from: start, below: feed.length) {
      let end = core.nextMissing(from: first, below: feed.length) ?? feed.length
      #expect(try core.blocks(in: first..<end) == read[Int(first)..<Int(end)].compactMap { $0 })
      #expect(core.has(first..<end))
      #expect(core.downloaded(first..<end) == end - first)
      start = end
    }
    if core.downloaded() < feed.length { #expect(try core.blocks(in: 0..<feed.length) == nil) }
    let audit = try core.audit()
    #expect(audit.valid == feed.downloaded)
    #expect(audit.invalid == 0)
  }

  @Test(arguments: RecordedFeed.all.filter { $0.blocksAre != "base64" })
  func `blocks that are recorded by their hashes have them`(_ feed: RecordedFeed) throws {
    try #require(feed.blocksAre == "first 16 bytes of BLAKE2b-256, hex")
    let core = try OpenedCopy(feed).core
    for (index, expected) in feed.blocks.enumerated() {
      let hash = try core.block(at: UInt64(index)).map { block in
        block.withUnsafeBytes { Array(TreeHash.hash($0).bytes.prefix(16)) }
      }
      if hash != expected.flatMap({ [UInt8](hex: $0) }) { Issue.record("block \(index)") }
    }
  }

  @Test(arguments: RecordedFeed.all)
  func `blocks are read in the encoding that they were written in`(_ feed: RecordedFeed)
    async throws
  {
    let folder = try TemporaryFolder(copyOf: feed.folder)
    let opened = try await Feed.open(folder: folder.path, access: .readOnly)
    for (index, block) in (feed.blockBytes ?? []).enumerated() {
      guard let block else { continue }
      let index = UInt64(index)
      switch feed.valueEncoding {
      case "utf-8":
        let text = try await opened.get(index, as: .utf8)
        #expect(text == String(decoding: block, as: UTF8.self))
        #expect(try ValueEncoding.utf8.encode(text) == block)
      case "json":
        let value = try await opened.get(index, as: .json(JSONValue.self))
        // The reference's own order of members is not kept.
        let written = try ValueEncoding.json(JSONValue.self).encode(value)
        #expect(try ValueEncoding.json().decode(written) == value)
        #expect(block.last == UInt8(ascii: "\n"))
      case "binary": #expect(try await opened.get(index) == block)
      default: Issue.record("no such encoding: \(feed.valueEncoding)")
      }
    }
    try await opened.close()
  }

  @Test func `a replica has the key of the feed that it is one of`() throws {
    for replica in RecordedFeed.all {
      guard let name = replica.replicaOf else { continue }
      let original = try #require(RecordedFeed.all.first { $0.name == name })
      #expect(replica.key == original.key && replica.length <= original.length)
      #expect(!replica.writable && replica.secretKey == nil)
    }
  }

  @Test(arguments: RecordedFeed.all)
  func `the last signature and the roots it covers verify`(_ feed: RecordedFeed) throws {
    let core = try OpenedCopy(feed).core
    guard let recorded = feed.signature else { return }
    let found = try #require(try core.signature(covering: recorded.index))
    #expect(found.index == recorded.index)
    #expect(found.signature.hex == recorded.signature)
    #expect(try core.verify(found.signature, at: found.index))
    #expect(try core.rootHashes(at: found.index) == core.roots)
    var wrong = found.signature
    wrong.withUnsafeMutableBytes { $0[7] ^= 1 }
    #expect(try !core.verify(wrong, at: found.index))
  }

  @Test(arguments: RecordedFeed.all)
  func `the Have bitfield of a recorded feed is the reference's`(_ feed: RecordedFeed) throws {
    let core = try OpenedCopy(feed).core
    #expect(core.haveBitfield(from: 0, length: 1 << 20) == [UInt8](hex: feed.bitfieldHave))
    #expect(core.haveBitfield(from: 0, length: 0) == [UInt8](hex: feed.bitfieldHave))
  }

  @Test(arguments: RecordedFeed.all)
  func `digests of a recorded feed are the reference's`(_ feed: RecordedFeed) throws {
    let core = try OpenedCopy(feed).core
    for (block, digest) in (feed.digests ?? []).enumerated() {
      #expect(core.digest(UInt64(block)) == digest, "block \(block)")
    }
  }

  @Test(arguments: RecordedFeed.all)
  func `proofs of a recorded feed are the reference's`(_ feed: RecordedFeed) throws {
    let core = try OpenedCopy(feed).core
    for recorded in feed.proofs ?? [] {
      let proof = try core.proof(recorded.index, digest: recorded.digest, hash: recorded.hash)
      #expect(
        proof.nodes == recorded.nodes.map(\.node),
        "block \(recorded.index), digest \(recorded.digest)")
      #expect(proof.signature?.hex == recorded.signature)
    }
  }

  @Test(arguments: RecordedFeed.all)
  func `seeks in a recorded feed end where the reference's do`(_ feed: RecordedFeed) throws {
    let core = try OpenedCopy(feed).core
    for seek in feed.seeks ?? [] {
      if let index = seek.index, let offset = seek.offset {
        #expect(try core.seek(toByte: seek.bytes) == .found(block: index, offset: offset))
      } else if seek.error == "Out of bounds" {
        let error = #expect(throws: FeedError.self) { try core.seek(toByte: seek.bytes) }
        #expect(error?.code == .outOfBounds)
      } else {
        guard case .unknown(let blocks) = try core.seek(toByte: seek.bytes) else {
          Issue.record("byte \(seek.bytes) was found")
          continue
        }
        #expect(!blocks.isEmpty)
      }
    }
  }

  /// The ends of the recorded feed's batches, according to its signatures.
  private func batchEnds(_ feed: RecordedFeed) throws -> [UInt64] {
    let signatures = try Fixtures.bytes("\(feed.folder)/signatures")
    var ends: [UInt64] = []
    for offset in stride(from: 32, to: signatures.count, by: 64) {
      let slot = signatures[offset..<(offset + 64)]
      if slot.contains(where: { $0 != 0 }) { ends.append(UInt64(offset - 32) / 64 + 1) }
    }
    return ends
  }

  @Test(arguments: RecordedFeed.written)
  func `the same appends write the reference's files`(_ feed: RecordedFeed) throws {
    // Blocks that the recorded feed cleared are still in its data file, so it can be written again.
    let original = try OpenedCopy(feed).core
    var blocks: [[UInt8]] = []
    for index in 0..<feed.length {
      if let block = try original.block(at: index) {
        blocks.append(block)
      } else {
        let size = Int(try original.node(at: 2 * index).size)
        blocks.append(
          try original.files.data.read(at: try original.byteOffset(of: index), count: size))
      }
    }
    let secretKey = feed.secretKey.flatMap { SecretKey(hex: $0) }
    let storage = MemoryStorage()
    let options = FeedOptions(
      key: secretKey == nil ? nil : feed.publicKey, secretKey: secretKey, isLive: feed.live)
    let core = try FeedCore.open(in: storage, options: options)
    var start: UInt64 = 0
    let ends = feed.live ? try batchEnds(feed) : [feed.length]
    for end in ends {
      #expect(try core.append(Array(blocks[Int(start)..<Int(end)])) == start)
      start = end
    }
    if !feed.live { try core.finalize() }
    // Cleared as in the recording: run by run.
    var next: UInt64 = 0
    while let missing = original.nextMissing(from: next, below: feed.length) {
      next = original.nextStored(from: missing, below: feed.length) ?? feed.length
      try core.clear(missing..<next)
    }
    try core.close()
    let pageSize = original.bits.pageSize
    for name in feedFileNames where Fixtures.exists("\(feed.folder)/\(name)") {
      let expected = try Fixtures.bytes("\(feed.folder)/\(name)")
      let written = try bytes(of: name, in: storage)
      if name == "bitfield", pageSize != Bitfield.standardPageSize {
        #expect(
          Array(written.dropFirst(32).prefix(3072)) == Array(expected.dropFirst(32).prefix(3072)))
      } else {
        #expect(written == expected, "\(name)")
      }
    }
  }
}
