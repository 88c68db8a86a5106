import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import HyperDB
@testable import Hypercore

/// Every call of the storage fails once, for each way to write a database.
@Suite struct DatabaseFaultTests {
  enum Operation: String, CaseIterable {
    case create, open, put, batch, delete, authorize
  }

  private var options: HyperDBOptions {
    var options = HyperDBOptions()
    options.durability = .synced
    options.keyPair = KeyPair(seed: [UInt8](repeating: 3, count: 32))
    options.isNew = true
    return options
  }

  private let writer = KeyPair(seed: [UInt8](repeating: 4, count: 32))!.publicKey

  private func run(_ operation: Operation, _ storage: FaultyStorage, arm: () -> Void) async throws {
    let opens = [Operation.create, .open].contains(operation)
    if opens { arm() }
    let db = try await HyperDB.open(storage, options: options)
    if !opens { arm() }
    do {
      switch operation {
      case .create, .open: break
      case .put: try await db.put("b", [2])
      case .batch: try await db.batch([.put("b", [2]), .put("a", [3]), .delete("c")])
      case .delete: try await db.delete("a")
      case .authorize: try await db.authorize(writer)
      }
    } catch {
      await db.close()
      throw error
    }
    await db.close()
  }

  @Test(arguments: Operation.allCases)
  func `whichever call of the storage fails, the database is as before or after`(
    operation: Operation
  ) async throws {
    var call = 0
    while true {
      let storage = MemoryStorage()
      if operation != .create {
        let db = try await HyperDB.open(storage, options: options)
        try await db.batch([.put("a", [1]), .put("c", [1])])
        await db.close()
      }
      let faulty = FaultyStorage(storage)
      var thrown: (any Error)?
      do {
        try await run(operation, faulty) { faulty.fail(.init(call: call, tears: true)) }
      } catch {
        thrown = error
      }
      let wasHit = faulty.callCount > call
      if let thrown {
        #expect(
          thrown is FeedError || thrown is HyperDBError || thrown is StorageError,
          "\(operation) \(call): \(thrown)")
      }
      try await expectSound(storage, operation, "\(operation), call \(call)")
      guard wasHit else {
        #expect(thrown == nil, "\(operation): \(thrown.map { "\($0)" } ?? "")")
        break
      }
      call += 1
    }
    #expect(call > 0)
  }

  private func expectSound(
    _ storage: MemoryStorage, _ operation: Operation, _ place: String
  ) async throws {
    let db = try await HyperDB.open(storage, options: options)
    var values: [String: [UInt8]] = [:]
    for node in try await db.list().collect().flatMap({ $0 }) { values[node.key] = node.value }
    let before: [String: [UInt8]] = operation == .create ? [:] : ["a": [1], "c": [1]]
    let after: [String: [UInt8]] =
      switch operation {
      case .create, .open, .authorize: before
      case .put: ["a": [1], "b": [2], "c": [1]]
      case .batch: ["a": [3], "b": [2]]
      case .delete: ["c": [1]]
      }
    #expect(values == before || values == after, "\(place)")
    let writers = await db.feeds.filter { $0.isAuthorized && !$0.isLocal }.map(\.key)
    #expect(writers.isEmpty || (operation == .authorize && writers == [writer]), "\(place)")
    #expect(await db.issues.isEmpty, "\(place)")
    try await db.put("z", [9])
    await db.close()
  }
}
