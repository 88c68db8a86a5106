internal import HyperDB
internal import RandomAccessStorage

/// The memory that walks take. It is bounded by the cache of decoded entries, whatever the number
/// of keys.
enum DatabaseMemoryRows {
  static let all: [Row] = [Row(group: "db.memory", isHeavy: true, samples: walks)]

  private static let keys = 100_000
  /// Far less than the entries take, so that the bound is measured.
  private static let cacheBytes = 8 << 20

  @Sendable
  private static func walks(_ settings: Settings) async throws -> [Sample] {
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    let db = try await HyperDB.open(storage: FolderStorage(path: folder))
    try await DatabaseRows.fill(db, 0..<keys)
    await db.close()
    return try ["list", "list.prefix", "history", "diff"].map { walk in
      // In a process of its own: memory that others have released would hide what this walk takes.
      let child = try Child(["peer", "walk-database", folder, walk])
      defer { child.end() }
      let told = try child.expect("growth")
      guard let count = told["count"] as? Int, count >= (walk == "diff" ? keys / 2 : keys) else {
        throw BenchFailure("\(walk) gave \(told["count"] ?? 0) of \(keys)")
      }
      return Sample(
        name: "db.memory.\(walk)", value: (told["growth"] as? Double ?? .nan) / 1e6, unit: "MB")
    }
  }

  /// Opens and walks once, and prints the greatest growth of the process meanwhile.
  static func walk(_ rest: [String]) async throws {
    guard rest.count == 2 else { throw BenchFailure("walk-database folder walk") }
    var options = HyperDBOptions()
    options.cacheBytes = cacheBytes
    let before = Memory.resident
    let db = try await HyperDB.open(storage: FolderStorage(path: rest[0]), options: options)
    var count = 0
    switch rest[1] {
    case "list": for try await _ in db.list() { count += 1 }
    case "list.prefix": for try await _ in db.list("people") { count += 1 }
    case "history": for try await _ in db.history() { count += 1 }
    default:
      let half = try await db.checkout(source: UInt64(keys / 2))
      for try await _ in db.diff(half) { count += 1 }
    }
    say(["count": count, "growth": Double(max(Memory.peak - before, 0))])
    await db.close()
    await untilInputEnds()
  }
}
