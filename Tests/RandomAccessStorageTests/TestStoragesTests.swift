import DatTesting
import RandomAccessStorage
import Testing

@Test func `a tracking storage lists each call with its ranges`() throws {
  let storage = TrackingStorage()
  let file = try storage.storage(named: "a/tree")
  try file.write([
    StorageWrite(offset: 32, bytes: [1, 2]), StorageWrite(offset: 72, bytes: [3]),
  ])
  _ = try file.bytes(at: 30, 4)
  _ = try file.length()
  try file.sync()
  #expect(storage.calls.map(\.kind) == [.write, .read, .length, .sync])
  #expect(storage.calls(.write, "tree").map(\.ranges) == [[32..<34, 72..<73]])
  #expect(storage.calls(.read).map(\.ranges) == [[30..<34]])
  #expect(storage.calls(.read, "data").isEmpty)
  storage.reset()
  #expect(storage.calls.isEmpty)
}

@Test func `a faulty storage fails the call it was told to, and tears its write`() throws {
  let memory = MemoryStorage()
  let storage = FaultyStorage(memory)
  let file = try storage.storage(named: "data")
  try file.write([9], at: 10)
  #expect(storage.callCount == 1)
  storage.fail(.init(call: 1, kinds: [.write], tears: true))
  try file.write([1], at: 0)
  _ = try file.length()
  let error = #expect(throws: StorageError.self) {
    try file.write([
      StorageWrite(offset: 1, bytes: [2, 3]), StorageWrite(offset: 3, bytes: [4, 5]),
    ])
  }
  #expect(error?.code == .full)
  #expect(try file.bytes(at: 0, 5) == [1, 2, 3, 0, 0])
  try file.write([6], at: 1)
  storage.fail(.init(call: 0, forEver: true))
  #expect(throws: StorageError.self) { try file.sync() }
  #expect(throws: StorageError.self) { try file.length() }
  storage.fail(nil)
  #expect(try file.length() == 11)
}

@Test func `a crash keeps what was synced and no more than was written`() throws {
  let disk = SimulatedDisk()
  var random = SeededRandom(seed: 1)
  let file = try disk.storage(named: "data")
  try file.write([1, 2], at: 0)
  try file.sync()
  try file.write([3], at: 1)
  try file.write([4], at: 2)
  #expect(disk.crashPoints == 5)
  #expect(try disk.crashed(at: 1, losing: .unsynced, random: &random).files() == [:])
  #expect(try disk.crashed(at: 1, losing: .nothing, random: &random).files() == ["data": [1, 2]])
  let after = try disk.crashed(at: 4, losing: .unsynced, random: &random)
  #expect(try after.files() == ["data": [1, 2]])
  #expect(after.crashPoints == 1)
  #expect(
    try disk.crashed(at: 4, losing: .nothing, random: &random).files() == ["data": [1, 3, 4]])
  #expect(try disk.files() == ["data": [1, 3, 4]])
}

@Test func `all that a crash may leave of unsynced writes is met, and nothing else`() throws {
  let disk = try SimulatedDisk(files: ["data": [1]])
  let file = try disk.storage(named: "data")
  try file.write([UInt8](repeating: 2, count: 600), at: 0)
  try file.truncate(to: 1)
  let first = [UInt8](repeating: 2, count: 512)
  let both = [UInt8](repeating: 2, count: 600)
  let second = [1] + [UInt8](repeating: 0, count: 511) + both[512...]
  var random = SeededRandom(seed: 7)
  var any: Set<[UInt8]> = []
  var tail: Set<[UInt8]> = []
  for _ in 0..<200 {
    any.insert(
      try disk.crashed(at: 2, losing: .anySectors, random: &random).files()["data"] ?? [])
    tail.insert(try disk.crashed(at: 2, losing: .tail, random: &random).files()["data"] ?? [])
  }
  #expect(any == [[1], [2], first, second, both])
  #expect(tail == [[1], first, both, [2]])
}

@Test(arguments: testSeeds(standard: 10))
func `losing nothing is the state that was recorded, at every point`(seed: UInt64) throws {
  var random = SeededRandom(seed: seed)
  let disk = SimulatedDisk()
  var states: [[String: [UInt8]]] = [[:]]
  for _ in 0..<60 {
    let file = try disk.storage(named: random.chance(0.5) ? "tree" : "data")
    switch UInt8.random(in: 0..<4, using: &random) {
    case 0: try file.truncate(to: UInt64.random(in: 1...900, using: &random))
    case 1: try file.sync()
    default:
      try file.write(
        random.bytes(Int.random(in: 1...700, using: &random)),
        at: UInt64.random(in: 0...900, using: &random))
    }
    states.append(try disk.files())
  }
  #expect(states.count == disk.crashPoints)
  for (point, state) in states.enumerated() {
    #expect(try disk.crashed(at: point, losing: .nothing, random: &random).files() == state)
  }
}
