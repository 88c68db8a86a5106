import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@Suite struct FeedOpeningTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func `a feed in a folder is there again when it is opened again`() async throws {
    let feed = try await Feed.open(folder: folder.path)
    let key = try #require(feed.key)
    #expect(feed.discoveryKey == key.discoveryKey)
    #expect(await feed.isWritable)
    #expect(await feed.isLive)
    try await feed.append(someBlocks(10))
    let (bytes, hash) = await (feed.byteLength, feed.treeHash)
    try await feed.close()

    let again = try await Feed.open(folder: folder.path)
    #expect(again.key == key)
    #expect(await again.length == 10)
    #expect(await again.byteLength == bytes)
    #expect(await again.treeHash == hash)
    #expect(await again.repairReport.isHealthy)
    #expect(try await again.get(0..<10) == someBlocks(10))
    #expect(try await again.append([1]) == 10)
    try await again.close()
  }

  @Test func `a feed in memory is new and writable`() async throws {
    let feed = try await Feed.inMemory()
    #expect(try await feed.append([1, 2]) == 0)
    #expect(await feed.isWritable)
    let other = try await Feed.inMemory()
    #expect(feed.key != other.key)
  }

  @Test func `a feed is kept in a storage of one's own`() async throws {
    let storage = TrackingStorage(MemoryStorage())
    let feed = try await Feed.open(storage: storage)
    try await feed.append(someBlocks(3))
    try await feed.close()
    #expect(!storage.calls(.write, "data").isEmpty)
    let again = try await Feed.open(storage: storage)
    #expect(again.key == feed.key)
    #expect(try await again.get(0..<3) == someBlocks(3))
  }

  @Test(arguments: RecordedFeed.all)
  func `a recorded feed opens read-only in a folder that can't be written, unchanged`(
    recorded: RecordedFeed
  ) async throws {
    let copy = try TemporaryFolder(copyOf: recorded.folder)
    let before = try contents(of: copy)
    let files = FileManager.default
    try files.setAttributes([.posixPermissions: 0o500], ofItemAtPath: copy.path)
    defer { try? files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: copy.path) }

    let feed = try await Feed.open(folder: copy.path, access: .readOnly)
    // No lock is taken: the same folder can be opened again, and again.
    let second = try await Feed.open(folder: copy.path, access: .readOnly)
    #expect(feed.key == recorded.publicKey && second.key == feed.key)
    #expect(await feed.length == recorded.length)
    #expect(await feed.byteLength == recorded.byteLength)
    #expect(await feed.isLive == recorded.live)
    #expect(await feed.isWritable == false)
    #expect(await feed.downloaded() == recorded.downloaded)
    for (index, block) in (recorded.blockBytes ?? []).enumerated() {
      #expect(await feed.has(UInt64(index)) == (block != nil))
      if let block {
        #expect(try await feed.get(UInt64(index), options: .init(wait: false)) == block)
      }
    }
    #expect(try await feed.audit().invalid == 0)
    await expectFailure(.notWritable) { try await feed.append([1]) }
    try await feed.flush()
    try await feed.close()
    try await second.close()
    #expect(try contents(of: copy) == before)
  }

  @Test func `a read-only feed opens beside the one that writes it`() async throws {
    let writer = try await Feed.open(folder: folder.path)
    try await writer.append(someBlocks(4))
    let reader = try await Feed.open(folder: folder.path, access: .readOnly)
    #expect(try await reader.get(0..<4) == someBlocks(4))
    #expect(try await writer.append([9]) == 4)
    try await writer.close()
    try await reader.close()
  }

  @Test func `two feeds of one folder are told apart by the prefix of their files`() async throws {
    var options = Feed.Options()
    options.prefix = "metadata."
    let metadata = try await Feed.open(folder: folder.path, options: options)
    options.prefix = "content."
    let content = try await Feed.open(folder: folder.path, options: options)
    try await metadata.append("about", as: .utf8)
    try await content.append("bytes", as: .utf8)
    try await metadata.close()
    try await content.close()
    let names = Set(try contents(of: folder).keys)
    let files = feedFileNames + ["marker"]
    #expect(names == Set(files.flatMap { ["metadata.\($0)", "content.\($0)"] }))
    let again = try await Feed.open(folder: folder.path, access: .readOnly, options: options)
    #expect(again.key == content.key)
    #expect(try await again.get(0, as: .utf8) == "bytes")
  }

  @Test func `a recorded feed opens under a prefix`() async throws {
    for recorded in RecordedFeed.all.prefix(3) {
      let copy = try TemporaryFolder(copyOf: recorded.folder)
      for name in try FileManager.default.contentsOfDirectory(atPath: copy.path) {
        try FileManager.default.moveItem(
          atPath: "\(copy.path)/\(name)", toPath: "\(copy.path)/metadata.\(name)")
      }
      var options = Feed.Options()
      options.prefix = "metadata."
      let feed = try await Feed.open(folder: copy.path, options: options)
      #expect(feed.key == recorded.publicKey)
      #expect(await feed.length == recorded.length)
      try await feed.close()
    }
  }

  // MARK: Keys

  @Test func `a feed is written with the key pair that it is given`() async throws {
    let pair = KeyPair.generate()
    let feed = try await Feed.open(folder: folder.path, options: .init(keyPair: pair, isNew: true))
    #expect(feed.key == pair.publicKey)
    try await feed.append([1])
    try await feed.close()
    let files = try contents(of: folder)
    #expect(files["key"] == pair.publicKey.bytes)
    #expect(files["secret_key"] == pair.secretKey.bytes)
  }

  @Test func `a secret key that isn't to be stored is needed each time`() async throws {
    let pair = KeyPair.generate()
    var options = Feed.Options(keyPair: pair, isNew: true)
    options.storeSecretKey = false
    let feed = try await Feed.open(folder: folder.path, options: options)
    try await feed.append([1])
    try await feed.close()
    #expect(try contents(of: folder)["secret_key"] ?? [] == [])

    let reader = try await Feed.open(folder: folder.path)
    #expect(await reader.isWritable == false)
    await expectFailure(.notWritable, "secret key") { try await reader.append([2]) }
    try await reader.close()
    let writer = try await Feed.open(folder: folder.path, options: options)
    #expect(try await writer.append([2]) == 1)
    try await writer.close()
  }

  @Test func `a feed known by its key alone is empty and can't be written`() async throws {
    let key = KeyPair.generate().publicKey
    let feed = try await Feed.open(folder: folder.path, options: .init(key: key))
    #expect(feed.key == key)
    #expect(await feed.length == 0)
    await expectFailure(.notWritable) { try await feed.append([1]) }
    await expectFailure(.outOfBounds, "empty") { _ = try await feed.head() }
    try await feed.close()
  }

  @Test func `a key and a secret key that don't belong together are refused`() async throws {
    var options = Feed.Options(keyPair: .generate(), isNew: true)
    options.key = KeyPair.generate().publicKey
    let path = folder.path
    await expectFailure(.keyMismatch, "do not match") { [options] in
      _ = try await Feed.open(folder: path, options: options)
    }
    #expect(try contents(of: folder).isEmpty)
  }

  @Test func `another feed's folder is refused and stays as it is`() async throws {
    let feed = try await Feed.open(folder: folder.path)
    try await feed.append(someBlocks(3))
    try await feed.close()
    let before = try contents(of: folder)
    let path = folder.path
    for options in [
      Feed.Options(key: KeyPair.generate().publicKey), .init(keyPair: .generate(), isNew: true),
    ] {
      await expectFailure(.anotherFeedStored, "Another", feed.key?.hex ?? "?") {
        _ = try await Feed.open(folder: path, options: options)
      }
    }
    #expect(try contents(of: folder) == before)
  }

  // MARK: Stored content

  @Test(arguments: [StorageAccess.readOnly, .readWrite])
  func `without a feed, and with none to be made, nothing is created`(access: StorageAccess)
    async throws
  {
    var options = Feed.Options()
    options.createIfMissing = access == .readOnly
    let path = folder.path + "/none"
    await expectFailure(.noFeedStored, "No feed is stored here") { [options] in
      _ = try await Feed.open(folder: path, access: access, options: options)
    }
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func `overwriting forgets the feed that was there`() async throws {
    let old = try await Feed.open(folder: folder.path)
    try await old.append(someBlocks(20))
    try await old.close()
    var options = Feed.Options()
    options.overwrite = true
    let new = try await Feed.open(folder: folder.path, options: options)
    #expect(new.key != old.key)
    #expect(await new.length == 0)
    try await new.append(someBlocks(2))
    try await new.close()
    let again = try await Feed.open(folder: folder.path)
    #expect(again.key == new.key)
    #expect(await again.length == 2)
    #expect(await again.downloaded() == 2)
    #expect(await again.repairReport.isHealthy)
    try await again.close()
    let path = folder.path
    await expectFailure(.notWritable, "can't be overwritten") { [options] in
      _ = try await Feed.open(folder: path, access: .readOnly, options: options)
    }
  }

  @Test func `a foreign file is refused and stays as it is`() async throws {
    let foreign = Data("surely the file of some other program".utf8)
    try foreign.write(to: folder.url.appendingPathComponent("tree"))
    let path = folder.path
    await expectFailure(.foreignFile, "tree") { _ = try await Feed.open(folder: path) }
    #expect(try contents(of: folder) == ["tree": Array(foreign)])
  }

  @Test func `a folder that is open for writing is refused, naming the process`() async throws {
    let feed = try await Feed.open(folder: folder.path)
    let path = folder.path
    await expectFailure(.storage, "in use", "\(ProcessInfo.processInfo.processIdentifier)") {
      _ = try await Feed.open(folder: path)
    }
    try await feed.close()
    try await Feed.open(folder: path).close()
  }

  // MARK: Static feeds

  @Test func `a static feed is named by its content once finalized`() async throws {
    var options = Feed.Options()
    options.live = false
    let feed = try await Feed.open(folder: folder.path, options: options)
    #expect(feed.key == nil)
    await expectFailure(.outOfBounds, "empty") { try await feed.finalize() }
    try await feed.append(someBlocks(7))
    let key = try await feed.finalize()
    #expect(await key.bytes == feed.treeHash.bytes)
    #expect(await feed.currentKey == key)
    await expectFailure(.notWritable) { try await feed.append([1]) }
    try await feed.close()
    // Only the header: nothing is signed.
    #expect(try contents(of: folder)["signatures"]?.count == 32)

    let again = try await Feed.open(folder: folder.path)
    #expect(again.key == key)
    #expect(await again.isLive == false)
    #expect(await again.length == 7)
    await expectFailure(.notWritable) { try await again.append([1]) }
    try await again.close()

    let copy = try await Feed.inMemory(options: .init(key: key))
    let source = try await Feed.open(folder: folder.path, access: .readOnly)
    await join(try await source.replicate(), try await copy.replicate())
    #expect(try await copy.get(0..<7, options: .init(wait: false)) == someBlocks(7))
  }

  @Test func `a static feed that was never finalized is forgotten, and that is told`() async throws
  {
    var options = Feed.Options()
    options.live = false
    let feed = try await Feed.open(folder: folder.path, options: options)
    try await feed.append(someBlocks(3))
    await expectFailure(.keyMissing, "finalized") { _ = try await feed.replicate() }
    try await feed.close()
    let again = try await Feed.open(folder: folder.path, options: options)
    #expect(await again.length == 0)
    #expect(await again.repairReport.findings == [.unfinalizedForgotten(length: 3)])
    try await again.close()
  }

  @Test func `a closed feed says so to every call`() async throws {
    let feed = try await Feed.open(folder: folder.path)
    try await feed.append(someBlocks(2))
    try await feed.close()
    try await feed.close()
    await expectFailure(.closed) { _ = try await feed.get(0) }
    await expectFailure(.closed) { _ = try await feed.get(0..<2) }
    await expectFailure(.closed) { try await feed.append([1]) }
    await expectFailure(.closed) { try await feed.flush() }
    await expectFailure(.closed) { _ = try await feed.replicate() }
    await expectFailure(.closed) { try await feed.update() }
    await expectFailure(.closed) { try await feed.clear(0..<1) }
    await expectFailure(.closed) { _ = try await feed.audit() }
    await expectFailure(.closed) { for try await _ in feed.blocks() {} }
  }
}
