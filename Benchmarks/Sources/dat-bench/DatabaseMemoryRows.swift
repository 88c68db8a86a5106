internal import HyperDB
internal import RandomAccessStorage

/// How much memory walks take that stream: it is bounded by the cache of decoded entries, whatever the
/// number of keys.
enum DatabaseMemoryRows {
  static let all: [Row] = [Row(group: "db.memory", isHeavy: true, samples: walks)]

  private static let keys = 100_000
  /// Far less than the entries take, so that it is the bound that is measured.
  private static let cacheBytes = 8 << 20

  @Sendable
  private static func walks(_ settings: Settings) async throws -> [Sample] {
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    let storage = FolderStorage(path: folder)
    var db = try await HyperDB.open(storage)
    try await DatabaseRows.fill(db, 0..<keys)
    await db.close()
    var samples: [Sample] = []
    for walk in ["list", "list.prefix", "history", "diff"] {
      var options = HyperDBOptions()
      options.cacheBytes = cacheBytes
      db = try await HyperDB.open(storage, options: options)
      var meter = Meter()
      switch walk {
      case "list": for try await _ in db.list() { meter.look() }
      case "list.prefix": for try await _ in db.list("people") { meter.look() }
      case "history": for try await _ in db.history() { meter.look() }
      default:
        let half = try await db.checkout(source: UInt64(keys / 2))
        for try await _ in db.diff(half) { meter.look() }
      }
      guard meter.count >= (walk == "diff" ? keys / 2 : keys) else {
        throw BenchFailure("\(walk) gave \(meter.count) of \(keys)")
      }
      await db.close()
      samples.append(
        Sample(name: "db.memory.\(walk)", value: Double(meter.growth) / 1e6, unit: "MB"))
    }
    return samples
  }

  /// The growth of this process, looked at now and then.
  private struct Meter {
    private let start = Memory.resident
    private(set) var count = 0
    private(set) var growth = 0

    mutating func look() {
      count += 1
      if count.isMultiple(of: 500) { growth = max(growth, Memory.resident - start) }
    }
  }
}
