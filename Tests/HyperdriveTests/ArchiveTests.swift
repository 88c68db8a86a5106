import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Hyperdrive
import HypercoreProtocol
import RandomAccessStorage
import Testing

/// Archives that are written, read and replicated here.
@Suite(.timeLimit(.minutes(1))) struct ArchiveTests {
  @Test func `a new archive has one entry, for its content feed, and version 0`() async throws {
    let archive = try await Archive.inMemory()
    #expect(await archive.version == 0)
    #expect(await archive.metadata.length == 1)
    #expect(try await archive.entries().collect() == [])
    let block = try await archive.metadata.get(0)
    let content = try #require(await archive.content?.key)
    #expect(block == Array("\n\nhyperdrive\u{12} ".utf8) + content.bytes)
  }

  @Test func `files are written, read, overwritten and removed, and every version stays`()
    async throws
  {
    let archive = try await Archive.inMemory()
    try await archive.write("/a/one.txt", Array("one".utf8))
    try await archive.write("/a/two.txt", Array("two".utf8))
    try await archive.write("/a/one.txt", Array("one more".utf8))
    try await archive.remove("/a/two.txt")
    try await archive.makeFolder("/empty")
    #expect(await archive.version == 5)
    #expect(try await archive.read("/a/one.txt").collect() == Array("one more".utf8))
    let old = try await archive.checkout(2)
    #expect(try await old.read("/a/one.txt").collect() == Array("one".utf8))
    #expect(try await old.entries(in: "/a").collect().map(\.path) == ["/a/one.txt", "/a/two.txt"])
    let now = try await archive.entries(recursive: true).collect()
    #expect(now.map(\.path) == ["/a", "/a/one.txt", "/empty"])
    #expect(now.map(\.seq) == [nil, 3, 5])
    var changes: [UInt64] = []
    for try await entry in archive.history() { changes.append(entry.seq) }
    #expect(changes == [1, 2, 3, 4, 5])
    let diff = try await archive.diff(from: 2)
    #expect(diff.map(\.entry.seq) == [1, 3, 2, 5])
    #expect(diff.map(\.kind) == [.deletion, .put, .deletion, .put])
  }

  @Test func `what can't be done is refused and nothing is written`() async throws {
    let archive = try await Archive.inMemory()
    try await archive.write("/a/b", Array("x".utf8))
    try await archive.makeFolder("/a")
    func refusal(_ body: () async throws -> Void) async -> ArchiveError.Code? {
      do { try await body() } catch { return (error as? ArchiveError)?.code }
      return nil
    }
    #expect(await refusal { try await archive.remove("/none") } == .notFound)
    #expect(await refusal { try await archive.remove("/a") } == .directoryNotEmpty)
    #expect(await refusal { _ = try await archive.read("/a") } == .isDirectory)
    #expect(await refusal { _ = try await archive.read("/none") } == .notFound)
    #expect(await refusal { _ = try await archive.entries(in: "/none").collect() } == .notFound)
    #expect(await refusal { _ = try await archive.checkout(3) } == .invalidVersion)
    #expect(await refusal { try await archive.write("/nul\0", []) } == .invalidPath)
    #expect(await archive.version == 2)
    let copy = try await Archive.inMemory(options: Archive.Options(key: archive.key))
    #expect(await refusal { try await copy.write("/x", []) } == .notWritable)
    try await archive.close()
    #expect(await refusal { try await archive.write("/x", []) } == .closed)
  }

  @Test func `a large file is cut into pieces of 65,536 bytes and read in any part`() async throws {
    var random = SeededRandom(seed: 3)
    let bytes = random.bytes(300_000)
    let archive = try await Archive.inMemory()
    let entry = try await archive.write("/big", bytes)
    #expect(entry.stat?.blocks == 5 && entry.stat?.size == 300_000)
    for range: Range<UInt64> in [
      0..<300_000, 65_535..<65_537, 131_072..<131_072, 299_999..<400_000, 1..<2,
    ] {
      let part = try await archive.read("/big", range: range).collect()
      #expect(part == Array(bytes[Int(range.lowerBound)..<min(Int(range.upperBound), 300_000)]))
    }
  }

  @Test func `a reader of a live archive hears of each version and reads it`() async throws {
    let archive = try await Archive.inMemory()
    let copy = try await Archive.inMemory(options: Archive.Options(key: archive.key, sparse: true))
    let connection = try await LiveConnection(archive, copy)
    var events = copy.events().makeAsyncIterator()
    for number in 1...5 {
      try await archive.write(ArchivePath("/file \(number)"), Array("\(number)".utf8))
      while let event = await events.next() {
        if case .update(let version) = event, version == UInt64(number) { break }
      }
      let text = try await copy.read(ArchivePath("/file \(number)")).collect()
      #expect(text == Array("\(number)".utf8))
    }
    await connection.end()
  }

  @Test func `a sparse reader fetches the entries of one folder and the blocks of one file alone`()
    async throws
  {
    let archive = try await Archive.inMemory()
    for folder in 0..<20 {
      for file in 0..<20 {
        try await archive.write(ArchivePath("/\(folder)/\(file)"), Array("\(folder) \(file)".utf8))
      }
    }
    let copy = try await Archive.inMemory(
      options: Archive.Options(key: archive.key, sparse: true, sparseMetadata: true))
    var events = copy.events().makeAsyncIterator()
    let connection = try await LiveConnection(archive, copy)
    while await copy.version < 400 { _ = await events.next() }
    #expect(try await copy.read("/7/13").collect() == Array("7 13".utf8))
    #expect(try await copy.entries(in: "/7").collect().count == 20)
    #expect(await copy.metadata.downloaded() < 80)
    #expect(await copy.content?.downloaded() == 1)
    await connection.end()
  }

  @Test(arguments: [true, false])
  func `a file that is only looked at passes through, and a kept one stays`(discards: Bool)
    async throws
  {
    let archive = try await Archive.inMemory()
    let bytes = (0..<320).flatMap { [UInt8](repeating: UInt8($0 & 255), count: 1 << 16) }
    try await archive.write("/large", bytes)
    var options = Archive.Options(key: archive.key, sparse: true, sparseMetadata: true)
    options.discardsContent = discards
    let copy = try await Archive.inMemory(options: options)
    let connection = try await LiveConnection(archive, copy)
    for start in [UInt64(0), 5 << 20] {
      let part = start..<UInt64(bytes.count)
      var (count, most) = (0, UInt64(0))
      for try await piece in try await copy.read("/large", range: part) {
        #expect(piece == Array(bytes[(Int(start) + count)...].prefix(piece.count)))
        count += piece.count
        most = max(most, await copy.content?.downloaded() ?? 0)
      }
      #expect(count == bytes.count - Int(start))
      // Of 320 blocks: those that were read, and those that are fetched ahead.
      #expect(discards ? most <= 192 : most == 320)
    }
    #expect(await copy.content?.downloaded() == (discards ? 0 : 320))
    await connection.end()
  }

  @Test func `a feed of another kind is refused with what it is`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append("hello", as: .utf8)
    let key = try #require(feed.key)
    let copy = try await Archive.inMemory(options: Archive.Options(key: key))
    let (a, b) = (try await feed.replicate(.live), try await copy.replicate(.live))
    async let joined: Void = join(a, b)
    let error = await #expect(throws: ArchiveError.self) { _ = try await copy.entries().collect() }
    #expect(error?.code == .notAnArchive)
    _ = await joined
    try await feed.close()
  }

  @Test(arguments: [
    ("", "first block can't be read"), ("\n\u{7}hyperdb", "database"),
    ("\n\u{9}hypertrie", "hyperdrive 10"), ("\n\nhyperdrive", "names no content feed"),
  ])
  func `a first block that is no archive's is refused`(block: String, reason: String) async throws {
    let pair = KeyPair.generate()
    let storage = MemoryStorage()
    let core = try FeedCore.open(
      in: storage, prefix: "metadata/", options: FeedOptions(keyPair: pair))
    try core.append([Array(block.utf8)])
    try core.close()
    let error = await #expect(throws: ArchiveError.self) {
      _ = try await Archive.open(storage: storage)
    }
    #expect(error?.code == .notAnArchive)
    #expect(error?.reason.contains(reason) == true)
  }
}

/// A connection that stays until it is closed.
final class LiveConnection: Sendable {
  let streams: (ReplicationStream, ReplicationStream)
  private let task: Task<Void, Never>

  init(_ one: Archive, _ other: Archive) async throws {
    let (a, b) = (try await one.replicate(.live), try await other.replicate(.live))
    streams = (a, b)
    task = Task { await join(a, b) }
  }

  func end() async {
    await streams.0.close()
    await streams.1.close()
    await task.value
  }
}
