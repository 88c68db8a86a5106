import DatTesting
import Testing

@testable import RandomAccessStorage

/// Each kind of storage that must behave the same.
enum Kind: String, CaseIterable {
  case memory, folder

  /// A fresh provider, and what keeps it there.
  func make() throws -> (any StorageProvider, TemporaryFolder?) {
    switch self {
    case .memory: return (MemoryStorage(), nil)
    case .folder:
      let folder = try TemporaryFolder()
      return (FolderStorage(path: folder.path + "/inner"), folder)
    }
  }
}

extension RandomAccessStorage {
  /// `count` bytes at `offset`, or fewer where the file ends.
  func bytes(at offset: UInt64, _ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xaa, count: count)
    let read = try bytes.withUnsafeMutableBytes { try self.read(at: offset, into: $0) }
    return Array(bytes[..<read])
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws {
    try write([StorageWrite(offset: offset, bytes: bytes)])
  }
}

@Test(arguments: Kind.allCases)
func `a file that was never written is empty and does not exist`(kind: Kind) throws {
  let (provider, folder) = try kind.make()
  let file = try provider.storage(named: "tree")
  #expect(try file.length() == 0)
  #expect(try file.bytes(at: 0, 10) == [])
  try file.delete(at: 0, count: 10)
  try file.truncate(to: 0)
  try file.sync()
  try file.write([])
  #expect(try !provider.exists("tree"))
  withExtendedLifetime(folder) {}
}

@Test(arguments: Kind.allCases)
func `what is written is read, short at the end, and gaps are zero`(kind: Kind) throws {
  let (provider, folder) = try kind.make()
  let file = try provider.storage(named: "peers/ab/data")
  try file.write([1, 2, 3], at: 4)
  #expect(try file.length() == 7)
  #expect(try file.bytes(at: 0, 7) == [0, 0, 0, 0, 1, 2, 3])
  #expect(try file.bytes(at: 5, 100) == [2, 3])
  #expect(try file.bytes(at: 7, 1) == [])
  #expect(try file.bytes(at: 1 << 40, 1) == [])
  #expect(try provider.exists("peers/ab/data"))
  #expect(try provider.exists("peers/ab"))
  #expect(try provider.exists("peers/"))
  #expect(try !provider.exists("peers/a"))
  #expect(try !provider.exists("data"))
  withExtendedLifetime(folder) {}
}

@Test(arguments: Kind.allCases)
func `a closed file opens again by itself, and so does another handle`(kind: Kind) throws {
  let (provider, folder) = try kind.make()
  let file = try provider.storage(named: "key")
  try file.write([7, 8], at: 0)
  file.close()
  #expect(try file.bytes(at: 0, 2) == [7, 8])
  #expect(try provider.storage(named: "key").bytes(at: 1, 5) == [8])
  withExtendedLifetime(folder) {}
}

@Test(arguments: Kind.allCases)
func `deleting to the end shortens the file, deleting inside does not`(kind: Kind) throws {
  let (provider, folder) = try kind.make()
  let file = try provider.storage(named: "data")
  try file.write(Array(1...10), at: 0)
  try file.delete(at: 2, count: 3)
  #expect(try file.length() == 10)
  #expect(try file.bytes(at: 5, 2) == [6, 7])
  try file.delete(at: 20, count: 3)
  #expect(try file.length() == 10)
  try file.delete(at: 6, count: 100)
  #expect(try file.length() == 6)
  try file.truncate(to: 8)
  #expect(try file.bytes(at: 5, 9) == [6, 0, 0])
  withExtendedLifetime(folder) {}
}

@Test(arguments: Kind.allCases)
func `names that could lead out are refused`(kind: Kind) throws {
  let (provider, folder) = try kind.make()
  let long = String(repeating: "a", count: 256)
  for name in [
    "", "/", "/etc/passwd", "..", "../tree", "a/../../b", "a//b", "a/", ".", "a\0b", long,
  ] {
    let error = #expect(throws: StorageError.self) { _ = try provider.storage(named: name) }
    #expect(error?.code == .name)
    #expect(throws: StorageError.self) { _ = try provider.lock(name) }
  }
  #expect(throws: StorageError.self) { _ = try provider.exists("../") }
  withExtendedLifetime(folder) {}
}

@Test(arguments: Kind.allCases)
func `offsets past every file are refused without writing`(kind: Kind) throws {
  let (provider, folder) = try kind.make()
  let file = try provider.storage(named: "data")
  #expect(throws: StorageError.self) { try file.write([1], at: .max) }
  #expect(throws: StorageError.self) { try file.write([1], at: UInt64(Int64.max)) }
  #expect(throws: StorageError.self) { try file.delete(at: 1, count: .max) }
  #expect(throws: StorageError.self) { try file.truncate(to: .max) }
  #expect(try file.bytes(at: .max, 1) == [])
  #expect(try !provider.exists("data"))
  withExtendedLifetime(folder) {}
}

@Test(arguments: Kind.allCases, testSeeds(standard: 20))
func `any sequence of calls does what a plain array does`(kind: Kind, seed: UInt64) throws {
  let (provider, folder) = try kind.make()
  var random = SeededRandom(seed: seed)
  var file = try provider.storage(named: "data")
  var model: [UInt8] = []
  // Some runs stay small, others cross many pages.
  let reach: UInt64 = random.chance(0.5) ? 300 : 400_000
  for _ in 0..<150 {
    let offset = UInt64.random(in: 0...reach, using: &random)
    switch UInt8.random(in: 0..<12, using: &random) {
    case 0..<5:
      var pieces: [StorageWrite] = []
      var next = Int(offset)
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        if random.chance(0.3) { next += Int.random(in: 0...40, using: &random) }
        let size = random.chance(0.1) ? 40_000 : Int.random(in: 0...60, using: &random)
        let bytes = random.bytes(size)
        pieces.append(StorageWrite(offset: UInt64(next), bytes: bytes))
        if !bytes.isEmpty {
          if model.count < next + size {
            model += [UInt8](repeating: 0, count: next + size - model.count)
          }
          model.replaceSubrange(next..<(next + size), with: bytes)
        }
        next += size
      }
      try file.write(pieces)
    case 5..<9:
      let count = Int.random(in: 0...100_000, using: &random)
      let start = min(Int(offset), model.count)
      let expected = Array(model[start..<min(start + count, model.count)])
      #expect(try file.bytes(at: offset, count) == expected)
    case 9:
      try file.truncate(to: offset)
      if model.count > Int(offset) {
        model.removeSubrange(Int(offset)...)
      } else {
        model += [UInt8](repeating: 0, count: Int(offset) - model.count)
      }
    case 10:
      guard Int(offset) < model.count else { continue }
      try file.delete(at: offset, count: UInt64(model.count) - offset + 5)
      model.removeSubrange(Int(offset)...)
    default:
      file.close()
      if random.chance(0.5) { file = try provider.storage(named: "data") }
    }
    #expect(try file.length() == UInt64(model.count))
  }
  #expect(try file.bytes(at: 0, model.count + 1) == model)
  withExtendedLifetime(folder) {}
}

@Test func `memory far out costs only what is written`() throws {
  let file = try MemoryStorage().storage(named: "data")
  try file.write([1], at: 1 << 50)
  #expect(try file.length() == 1 << 50 + 1)
  #expect(try file.bytes(at: 1 << 50 - 1, 5) == [0, 1])
  try file.truncate(to: 1 << 50 - 1)
  try file.truncate(to: 1 << 50 + 1)
  #expect(try file.bytes(at: 1 << 50, 5) == [0])
}

@Test func `memory shared read-only refuses every change`() throws {
  let memory = MemoryStorage()
  try memory.storage(named: "key").write([1], at: 0)
  let file = try MemoryStorage(sharing: memory, access: .readOnly).storage(named: "key")
  #expect(try file.bytes(at: 0, 5) == [1])
  for change: () throws -> Void in [
    { try file.write([2], at: 0) }, { try file.truncate(to: 0) },
    { try file.delete(at: 0, count: 1) },
  ] {
    #expect(throws: StorageError.self) { try change() }
  }
  #expect(memory.names == ["key"])
}
