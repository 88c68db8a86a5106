internal import Hypercore

/// Appends that are on the disk when they return, from one task and from many at once, whether or not the other rows
/// are run with `--synced`.
enum SyncedRows {
  static let all: [Row] = [1, 64].map { tasks in
    Row("append.synced.\(tasks)") { settings in
      try await append(tasks: tasks, each: settings.scale(tasks == 1 ? 200 : 100))
    }
  }

  /// Blocks per second by the clock: a processor has nothing to do while the disk works.
  private static func append(tasks: Int, each count: Int) async throws -> Double {
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    var options = Feed.Options()
    options.durability = .synced
    let feed = try await Feed.open(folder: folder, options: options)
    let block = [UInt8](repeating: 1, count: 100)
    try await feed.append(block)
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<tasks {
        group.addTask { for _ in 0..<count { try await feed.append(block) } }
      }
      try await group.waitForAll()
    }
    let time = (ContinuousClock.now - start).seconds
    try await feed.close()
    return Double(tasks * count) / time
  }
}
