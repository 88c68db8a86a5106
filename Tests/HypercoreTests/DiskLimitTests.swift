import DatTesting
import Foundation
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Limits on what peers may fill of a disk, and the state of a feed on a full disk.
@Suite(.timeLimit(.minutes(1))) struct DiskLimitTests {
  private let blocks = (0..<400).map { [UInt8](repeating: UInt8($0 & 255), count: 4000) }

  private func writer() async throws -> Feed {
    let feed = try await Feed.inMemory(options: .init(keyPair: keyPair(1), isNew: true))
    try await feed.append(blocks)
    return feed
  }

  private func reader(
    in storage: any StorageProvider, _ disk: DiskLimits = DiskLimits()
  ) async throws -> Feed {
    var options = Feed.Options(key: keyPair(1).publicKey)
    options.disk = disk
    return try await Feed.open(storage: storage, options: options)
  }

  /// Connects two feeds until the reader pauses, then ends the connection.
  private func exchange(_ writer: Feed, _ reader: Feed, untilPaused: Bool) async throws {
    let events = reader.events()
    let (one, other) = (try await writer.replicate(.live), try await reader.replicate(.live))
    let joined = Task { await join(one, other) }
    for await event in events {
      if untilPaused, case .pause = event { break }
      if !untilPaused, case .sync = event { break }
    }
    #expect(await one.closeReason == nil)
    #expect(await other.closeReason == nil)
    await one.close()
    await other.close()
    await joined.value
  }

  @Test func `at the limit of a writer nothing more is fetched, and what is here is kept`()
    async throws
  {
    let storage = MemoryStorage()
    let writer = try await writer()
    let feed = try await reader(in: storage, DiskLimits(perWriter: 400_000, inAll: nil))
    try await exchange(writer, feed, untilPaused: true)
    let stored = await feed.downloaded()
    #expect(stored >= 80 && stored < 400)
    guard case .quota(_, 400_000) = await feed.downloadPause else {
      Issue.record("\(String(describing: await feed.downloadPause))")
      return
    }
    let missing = try #require(await (0..<400 as Range<UInt64>).asyncFirst { await !feed.has($0) })
    await expectFailure(.paused, "400000 bytes", "nothing more is fetched") {
      _ = try await feed.get(missing)
    }
    try await feed.close()
    // The limit holds after a restart; a higher one lets the download go on.
    let again = try await reader(in: storage, DiskLimits(perWriter: 400_000, inAll: nil))
    try await exchange(writer, again, untilPaused: true)
    #expect(await again.downloaded() == stored)
    try await again.close()
    let more = try await reader(in: storage, DiskLimits(perWriter: 4_000_000, inAll: nil))
    try await exchange(writer, more, untilPaused: false)
    #expect(try await more.get(0..<400) == blocks)
    #expect(await more.downloadPause == nil)
  }

  @Test func `what feeds share is counted together, and given back`() async throws {
    let host = DiskBudget(limit: 600_000, name: "this host")
    var limits = DiskLimits()
    limits.budget = host
    let writer = try await writer()
    let one = try await reader(in: MemoryStorage(), limits)
    try await exchange(writer, one, untilPaused: true)
    #expect(host.used >= 600_000)
    let other = try await reader(in: MemoryStorage(), limits)
    try await exchange(writer, other, untilPaused: true)
    #expect(await other.downloaded() == 0)
    #expect("\(try #require(await other.downloadPause))".contains("this host"))
  }

  @Test func `a session that is not live ends at the limit`() async throws {
    let writer = try await writer()
    let feed = try await reader(in: MemoryStorage(), DiskLimits(perWriter: 100_000, inAll: nil))
    var options = ReplicationOptions()
    options.timeout = nil
    await join(try await writer.replicate(options), try await feed.replicate(options))
    #expect(await feed.downloaded() < 400)
  }

  @Test func `a storage that fails pauses, and fetching goes on once it works`() async throws {
    let memory = MemoryStorage()
    let storage = FaultyStorage(memory)
    let writer = try await writer()
    let feed = try await reader(in: storage)
    storage.fail(.init(call: 12, kinds: [.write], forEver: true, tears: true))
    try await exchange(writer, feed, untilPaused: true)
    guard case .storage(let reason) = await feed.downloadPause else {
      Issue.record("not paused by the storage")
      return
    }
    #expect(reason.contains("full"))
    storage.fail(nil)
    try await exchange(writer, feed, untilPaused: false)
    #expect(try await feed.get(0..<400) == blocks)
    #expect(await feed.downloadPause == nil)
    try await feed.close()
    #expect(try Feed.examine(memory).isHealthy)
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `a disk that is really full loses nothing, and feeds go on when there is room`() async throws
  {
    let disk = try SmallDisk(bytes: 2 << 20)
    let folder = FolderStorage(path: disk.path + "/feed")
    let writer = try await writer()
    // No reserve is left: the disk gets full to the last page.
    let feed = try await reader(in: folder, DiskLimits(perWriter: nil, inAll: nil, reserve: 0))
    try disk.fill(leaving: 400_000)
    try await exchange(writer, feed, untilPaused: true)
    let stored = await feed.downloaded()
    #expect(stored < 400)
    try disk.empty()
    try await exchange(writer, feed, untilPaused: false)
    #expect(try await feed.get(0..<400) == blocks)
    try await feed.close()
    #expect(try Feed.examine(folder).isHealthy)
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `an append on a full disk fails with a sentence, and the next one goes on`() async throws {
    let disk = try SmallDisk(bytes: 1 << 20)
    let folder = FolderStorage(path: disk.path + "/feed")
    let feed = try await Feed.open(storage: folder)
    try await feed.append(Array(blocks[..<3]))
    try disk.fill()
    await expectFailure(.storage, "full", "free some space") {
      try await feed.append(Array(blocks[3..<10]))
    }
    await expectFailure(.storage, "full") { try await feed.append(blocks[3]) }
    #expect(try await feed.get(0..<3) == Array(blocks[..<3]))
    try disk.empty()
    let next = try await feed.append(Array(blocks[3..<10]))
    #expect(next == 3)
    #expect(try await feed.get(0..<10) == Array(blocks[..<10]))
    try await feed.close()
    let again = try await Feed.open(storage: folder)
    #expect(await again.repairReport.isHealthy)
    #expect(await again.length == 10)
    try await again.close()
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `so much of the disk is left free as is said`() async throws {
    let disk = try SmallDisk(bytes: 2 << 20)
    let folder = FolderStorage(path: disk.path + "/feed")
    let writer = try await writer()
    let limits = DiskLimits(perWriter: nil, inAll: nil, reserve: 1 << 20)
    let feed = try await reader(in: folder, limits)
    try await exchange(writer, feed, untilPaused: true)
    guard case .reserve(let available, 1_048_576) = await feed.downloadPause else {
      Issue.record("\(String(describing: await feed.downloadPause))")
      return
    }
    #expect(available < 1 << 20 && available > 200_000)
    // What is written here may use it.
    let own = try await Feed.open(folder: disk.path + "/own")
    try await own.append(Array(blocks[..<20]))
    try await own.close()
    try await feed.close()
  }
}

extension Range<UInt64> {
  fileprivate func asyncFirst(_ isRight: (UInt64) async -> Bool) async -> UInt64? {
    for value in self where await isRight(value) { return value }
    return nil
  }
}
