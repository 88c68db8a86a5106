internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// How cost grows with the number of blocks, entries, messages, peers and rooms: the whole time for N of them, in
/// rows that end in N. `make bench-plot` draws them on log-log axes.
enum GrowthRows {
  static let all: [Row] = [
    Row(group: "growth.blocks", isHeavy: true, samples: blocks),
    Row(group: "growth.entries", isHeavy: true, samples: entries),
    Row(group: "growth.messages", isHeavy: true, samples: messages),
    Row(group: "growth.peers", isHeavy: true, samples: peers),
    Row(group: "growth.rooms", isHeavy: true, samples: rooms),
  ]

  private static func sizes(_ settings: Settings) -> [Int] {
    settings.isQuick ? [1000, 10_000] : [1000, 10_000, 100_000, 1_000_000]
  }

  private static func sample(_ name: String, _ count: Int, _ seconds: Double) -> Sample {
    Sample(name: "growth.\(name).\(count)", value: seconds, unit: "s")
  }

  /// Blocks of 100 bytes: appended in batches of 1,000, and fetched over TCP by another process.
  @Sendable
  private static func blocks(_ settings: Settings) async throws -> [Sample] {
    var samples: [Sample] = []
    for count in sizes(settings) {
      let folder = Scratch.folder()
      defer { Scratch.remove(folder) }
      let feed = try await Feed.open(folder: folder)
      let batch = makeBlocks(1000, size: 100)
      let time = try await seconds {
        for _ in 0..<(count / 1000) { try await feed.append(batch) }
      }
      try await feed.close()
      samples.append(sample("blocks.append", count, time))
      let fetched = try await ReplicationRows.fetch(
        folder, count: count, toFiles: false, settings)
      samples.append(sample("blocks.replicate", count, Double(count) / fetched.rate))
    }
    return samples
  }

  /// Entries of a database in files: put in batches, got in a random order, listed.
  @Sendable
  private static func entries(_ settings: Settings) async throws -> [Sample] {
    var samples: [Sample] = []
    for count in sizes(settings) {
      let folder = Scratch.folder()
      defer { Scratch.remove(folder) }
      let db = try await HyperDB.open(storage: FolderStorage(path: folder))
      samples.append(
        sample(
          "entries.batch", count,
          try await seconds { try await DatabaseRows.fill(db, 0..<count) }))
      var order = Shuffler(5)
      let gets = try await seconds {
        for _ in 0..<1000 { _ = try await db.get(DatabaseRows.key(order.next(below: count))) }
      }
      samples.append(sample("entries.get", count, gets / 1000 * Double(count)))
      var listed = 0
      let list = try await seconds {
        for try await group in db.list() { listed += group.count }
      }
      guard listed == count else { throw BenchFailure("\(listed) of \(count) keys listed") }
      samples.append(sample("entries.list", count, list))
      await db.close()
    }
    return samples
  }

  /// Messages of one writer: the room is opened from its files, and a newcomer joins.
  @Sendable
  private static func messages(_ settings: Settings) async throws -> [Sample] {
    var samples: [Sample] = []
    for count in sizes(settings) {
      let folder = Scratch.folder()
      defer { Scratch.remove(folder) }
      let key = try await writeRoom(folder, count)
      // The first opening writes the index, the second reads it.
      for name in ["messages.index", "messages.open"] {
        let time = try await seconds {
          let room = try await Saga.open(folder: folder, username: "reader")
          guard await room.messages(limit: 100).count == 100 else {
            throw BenchFailure("the newest page is short")
          }
          await room.close()
        }
        samples.append(sample(name, count, time))
      }
      let joined = try join(folder, key, count)
      samples.append(sample("messages.join", count, joined.seconds))
      samples.append(
        Sample(name: "room.join.memory.\(count)", value: joined.peak / 1e6, unit: "MB"))
    }
    return samples
  }

  private static func writeRoom(_ folder: String, _ count: Int) async throws -> PublicKey {
    let db = try await HyperDB.open(folder: folder)
    for start in stride(from: 0, to: count, by: 500) {
      try await db.batch(
        (start..<min(start + 500, count)).map { number in
          let key = "messages/writer-process-id/\(number)"
          let value =
            #"{"key":"\#(key)","message":"This is message number \#(number)","username":"ana","#
            + #""timestamp":\#(1_700_000_000_000 + number * 60_000)}"#
          return .put(key, Array(value.utf8))
        })
    }
    await db.close()
    return db.key
  }

  /// The seconds of a newcomer's process, from its start to the last message, and the most memory that it took. It
  /// keeps the room in files.
  private static func join(
    _ folder: String, _ key: PublicKey, _ count: Int
  ) throws -> (seconds: Double, peak: Double) {
    let files = Scratch.folder()
    defer { Scratch.remove(files) }
    let server = try Child(["peer", "serve-room", folder])
    defer { server.kill() }
    let address = try server.expect("port")
    let child = try Child([
      "peer", "join-room", key.hex, "\(address["port"] ?? 0)", "\(count)", "0", "0", files,
    ])
    defer { child.end() }
    let told = try child.expect("seconds")
    return (told["seconds"] as? Double ?? .nan, told["peak"] as? Double ?? .nan)
  }

  /// The same 100,000 blocks from more and more peers.
  @Sendable
  private static func peers(_ settings: Settings) async throws -> [Sample] {
    let count = settings.scale(100_000)
    let folder = try await Fixture.feed(count, size: 100)
    var samples: [Sample] = []
    for number in [1, 2, 4, 8, 16, 32, 64] {
      let fetched = try await ReplicationRows.fetch(
        folder, count: count, toFiles: false, peers: number, settings)
      samples.append(sample("peers.fetch", number, Double(count) / fetched.rate))
    }
    return samples
  }

  /// Rooms of ten messages in memory, all open at once.
  @Sendable
  private static func rooms(_ settings: Settings) async throws -> [Sample] {
    var samples: [Sample] = []
    for number in settings.isQuick ? [10, 100] : [10, 100, 1000, 10_000] {
      var open: [Saga] = []
      let time = try await seconds {
        for _ in 0..<number {
          let room = try await Saga.open(storage: MemoryStorage(), username: "ana")
          for message in 0..<10 { try await room.writeMessage("message \(message)") }
          open.append(room)
        }
      }
      samples.append(sample("rooms.open", number, time))
      for room in open { await room.close() }
    }
    return samples
  }
}
