import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto

/// Exchanges everything between two databases over a connection that ends by itself.
func sync(_ one: HyperDB, _ other: HyperDB) async throws {
  let (a, b) = (try await one.replicate(), try await other.replicate())
  await join(a, b)
  try await a.finished()
  try await b.finished()
}

/// A connection that stays until it is closed.
final class LiveConnection: Sendable {
  let streams: (ReplicationStream, ReplicationStream)
  private let task: Task<Void, Never>

  init(_ one: HyperDB, _ other: HyperDB) async throws {
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

extension HyperDB {
  /// Makes a replica of this database in memory, with a writer of its own that is authorized on request.
  func clone(authorized: Bool = true, options: HyperDBOptions = HyperDBOptions()) async throws
    -> HyperDB
  {
    let clone = try await HyperDB.inMemory(key: key, options: options)
    if authorized { try await authorize(clone.localKey) }
    return clone
  }

  /// Returns the values of a key as a set, without deletes.
  func values(_ key: String) async throws -> Set<[UInt8]> {
    Set(try await get(key, options: .init(update: false)).compactMap(\.value))
  }

  /// Waits until a key has exactly these values.
  func until(_ key: String, has values: Set<[UInt8]>) async throws {
    let changes = watch(key)
    if try await self.values(key) == values { return }
    for try await _ in changes {
      if try await self.values(key) == values { return }
    }
  }
}
