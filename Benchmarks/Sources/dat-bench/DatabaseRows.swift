internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// Puts, gets, lists and histories.
enum DatabaseRows {
  static let all: [Row] = [
    Row("db.put.files", goal: 25_000, limit: "limit.sign") { settings in
      try await put(settings, count: settings.scale(10_000), files: true)
    },
    Row("db.put.memory", goal: 35_000, limit: "limit.sign") { settings in
      try await put(settings, count: settings.scale(10_000), files: false)
    },
    Row("db.batch", goal: 300_000) { settings in
      try await withDatabase(settings, files: false, keys: 0) { db in
        let rounds = settings.scale(10)
        let changes = (0..<rounds).map { round in
          (0..<5000).map { HyperDB.BatchChange.put(key(round * 5000 + $0), value) }
        }
        return Double(rounds * 5000)
          / (try await seconds { for batch in changes { try await db.batch(batch) } })
      }
    },
    Row("db.get.memory", goal: 800_000) { settings in try await get(settings, files: false) },
    Row("db.get.files", goal: 500_000) { settings in try await get(settings, files: true) },
    Row("db.list", goal: 1_000_000) { settings in
      try await withDatabase(settings, files: false, keys: settings.scale(20_000)) { db in
        try await walk(5) {
          var count = 0
          for try await group in db.list() { count += group.count }
          return count
        }
      }
    },
    Row("db.history", goal: 1_000_000) { settings in
      try await withDatabase(settings, files: false, keys: settings.scale(20_000)) { db in
        try await walk(5) {
          var count = 0
          for try await _ in db.history() { count += 1 }
          return count
        }
      }
    },
    Row("db.path") { settings in
      let keys = (0..<settings.scale(500_000)).map { Array(key($0).utf8) }
      var sum: UInt64 = 0
      let time = await seconds { for key in keys { sum ^= path(key) } }
      guard sum != 0 else { throw BenchFailure("the hashes are zero") }
      return Double(keys.count) / time
    },
    Row(group: "db.growth", isHeavy: true, samples: growth),
  ]

  static func key(_ number: Int) -> String {
    "people/\(number % 100)/\(number)"
  }

  static let value = Array("{\"name\":\"somebody\",\"city\":\"somewhere\",\"age\":42}".utf8)

  /// The hash of each component, of which a key's path is made.
  private static func path(_ key: [UInt8]) -> UInt64 {
    key.withUnsafeBytes { bytes in
      var sum: UInt64 = 0
      var start = 0
      for index in 0...bytes.count where index == bytes.count || bytes[index] == UInt8(ascii: "/") {
        sum ^= ShortHash.hash(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
        start = index + 1
      }
      return sum
    }
  }

  private static func walk(_ rounds: Int, _ once: () async throws -> Int) async throws -> Double {
    _ = try await once()
    var count = 0
    let time = try await seconds { for _ in 0..<rounds { count += try await once() } }
    return Double(count) / time
  }

  private static func put(_ settings: Settings, count: Int, files: Bool) async throws -> Double {
    let count = settings.isSynced && files ? max(count / 50, 20) : count
    return try await withDatabase(settings, files: files, keys: 100) { db in
      let keys = (100..<count + 100).map(key)
      return Double(count)
        / (try await seconds { for key in keys { try await db.put(key, value) } })
    }
  }

  private static func get(_ settings: Settings, files: Bool) async throws -> Double {
    let count = settings.scale(20_000)
    return try await withDatabase(settings, files: files, keys: count, reopening: files) { db in
      var order = Shuffler(3)
      let keys = (0..<settings.scale(100_000)).map { _ in key(order.next(below: count)) }
      for key in keys.prefix(20_000) { _ = try await db.get(key) }
      return Double(keys.count)
        / (try await seconds {
          for key in keys {
            guard try await !db.get(key).isEmpty else { throw BenchFailure("\(key) is missing") }
          }
        })
    }
  }

  private static func withDatabase(
    _ settings: Settings, files: Bool, keys: Int, reopening: Bool = false,
    _ body: (HyperDB) async throws -> Double
  ) async throws -> Double {
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    var options = HyperDBOptions()
    options.durability = settings.isSynced ? .synced : .buffered
    let storage: any StorageProvider =
      files ? FolderStorage(path: folder) : MemoryStorage()
    var db = try await HyperDB.open(storage: storage, options: options)
    try await fill(db, 0..<keys)
    if reopening {
      await db.close()
      db = try await HyperDB.open(storage: storage, options: options)
    }
    let result = try await body(db)
    await db.close()
    return result
  }

  static func fill(_ db: HyperDB, _ range: Range<Int>) async throws {
    for start in stride(from: range.lowerBound, to: range.upperBound, by: 5000) {
      let end = min(start + 5000, range.upperBound)
      try await db.batch((start..<end).map { .put(key($0), value) })
    }
  }

  /// The change of put, get and list as keys are added.
  @Sendable
  private static func growth(_ settings: Settings) async throws -> [Sample] {
    var samples: [Sample] = []
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    let db = try await HyperDB.open(storage: FolderStorage(path: folder))
    var size = 0
    for (keys, name) in [(1000, "1k"), (10_000, "10k"), (100_000, "100k"), (1_000_000, "1m")] {
      if settings.isQuick, keys > 100_000 { break }
      try await fill(db, size..<keys)
      size = keys
      let puts = try await seconds {
        for number in 0..<500 { try await db.put(key(keys + number), value) }
      }
      size += 500
      var order = Shuffler(4)
      let gets = try await seconds {
        for _ in 0..<5000 { _ = try await db.get(key(order.next(below: keys))) }
      }
      var count = 0
      let list = try await seconds {
        for try await group in db.list() { count += group.count }
      }
      samples.append(Sample(name: "db.put.growth.\(name)", value: 500 / puts, unit: "/s"))
      samples.append(Sample(name: "db.get.growth.\(name)", value: 5000 / gets, unit: "/s"))
      samples.append(
        Sample(name: "db.list.growth.\(name)", value: Double(count) / list, unit: "/s"))
    }
    await db.close()
    return samples
  }
}
