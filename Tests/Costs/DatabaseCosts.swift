internal import DatTesting
internal import HyperDB
internal import Hypercore

/// Putting, getting and listing in a database of 2,000 keys, in files.
enum DatabaseCosts {
  static let all: [CostRow] = [
    CostRow("db.put") {
      try await withDatabase { db in
        try await cost(of: 500) {
          for number in 2000..<2500 { try await db.put(key(number), value) }
        }
      }
    },
    CostRow("db.batch") {
      try await withDatabase { db in
        let changes = (2000..<2500).map { HyperDB.BatchChange.put(key($0), value) }
        return try await cost(of: 500) { try await db.batch(changes) }
      }
    },
    CostRow("db.get") {
      try await withDatabase { db in
        for number in 0..<2000 { _ = try await db.get(key(number)) }
        return try await cost(of: 1000) {
          for round in 0..<1000 {
            guard try await !db.get(key(round * 1009 % 2000)).isEmpty else {
              throw CostFailure("a key is missing")
            }
          }
        }
      }
    },
    CostRow("db.list") {
      try await withDatabase { db in
        func list() async throws {
          var count = 0
          for try await group in db.list() { count += group.count }
          guard count == 2000 else { throw CostFailure("\(count) of 2000 keys were listed") }
        }
        try await list()
        return try await cost(of: 2000) { try await list() }
      }
    },
  ]

  private static let value = Array("{\"name\":\"somebody\",\"age\":42}".utf8)

  private static func key(_ number: Int) -> String { "people/\(number % 100)/\(number)" }

  private static func withDatabase(_ body: (HyperDB) async throws -> Cost) async throws -> Cost {
    let folder = try TemporaryFolder()
    let db = try await HyperDB.open(folder: folder.path)
    try await db.batch((0..<1500).map { .put(key($0), value) })
    for number in 1500..<2000 { try await db.put(key(number), value) }
    let result = try await body(db)
    await db.close()
    return result
  }
}
