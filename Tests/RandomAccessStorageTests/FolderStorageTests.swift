import DatTesting
import Foundation
import Testing

@testable import RandomAccessStorage

private func mode(_ path: String) throws -> Int {
  let attributes = try FileManager.default.attributesOfItem(atPath: path)
  return try #require(attributes[.posixPermissions] as? Int)
}

@Test func `folders are made for their owner alone at the first write`() throws {
  let folder = try TemporaryFolder()
  let root = folder.path + "/a/b"
  let storage = FolderStorage(path: root)
  let file = try storage.storage(named: "source/secret_key")
  #expect(try file.length() == 0)
  #expect(!FileManager.default.fileExists(atPath: folder.path + "/a"))
  try file.write([1], at: 0)
  for path in ["/a", "/a/b", "/a/b/source"] {
    #expect(try mode(folder.path + path) == 0o700)
  }
  #expect(try mode(root + "/source/secret_key") == 0o600)
  try file.sync()
}

@Test func `links are followed neither as the file nor on the way to it`() throws {
  let outside = try TemporaryFolder()
  let folder = try TemporaryFolder()
  let manager = FileManager.default
  try Data([1, 2, 3]).write(to: outside.url.appendingPathComponent("key"))
  try manager.createSymbolicLink(
    atPath: folder.path + "/key", withDestinationPath: outside.path + "/key")
  try manager.createSymbolicLink(atPath: folder.path + "/peers", withDestinationPath: outside.path)
  try manager.createSymbolicLink(
    atPath: folder.path + "/tree", withDestinationPath: outside.path + "/new")
  let storage = FolderStorage(path: folder.path)
  for name in ["key", "peers/key", "tree"] {
    let file = try storage.storage(named: name)
    for call: () throws -> Void in [
      { _ = try file.bytes(at: 0, 3) }, { try file.write([9], at: 0) }, { _ = try file.length() },
      { _ = try storage.lock(name) },
    ] {
      let error = #expect(throws: StorageError.self) { try call() }
      #expect(error?.code == .name)
    }
  }
  #expect(try Data(contentsOf: outside.url.appendingPathComponent("key")) == Data([1, 2, 3]))
  #expect(!manager.fileExists(atPath: outside.path + "/new"))
  // The way to the folder itself is the user's business.
  try manager.createSymbolicLink(
    atPath: outside.path + "/linked", withDestinationPath: folder.path)
  let linked = FolderStorage(path: outside.path + "/linked")
  try linked.storage(named: "data").write([4], at: 0)
  #expect(try storage.storage(named: "data").bytes(at: 0, 1) == [4])
}

@Test func `a folder or a pipe in place of a file is refused without waiting`() throws {
  let folder = try TemporaryFolder()
  try FileManager.default.createDirectory(
    atPath: folder.path + "/tree", withIntermediateDirectories: false)
  let storage = FolderStorage(path: folder.path)
  #expect(throws: StorageError.self) { try storage.storage(named: "tree").bytes(at: 0, 1) }
  #expect(throws: StorageError.self) { try storage.storage(named: "tree").write([1], at: 0) }
  try storage.storage(named: "data").write([1], at: 0)
  #expect(throws: StorageError.self) { try storage.storage(named: "data/x").write([1], at: 0) }
  #expect(try !storage.exists("tree"))
}

@Test func `reading creates nothing, and read-only access changes nothing`() throws {
  let folder = try TemporaryFolder()
  let missing = FolderStorage(path: folder.path + "/none")
  #expect(try missing.storage(named: "a/b").bytes(at: 0, 5) == [])
  #expect(try !missing.exists("a/b"))
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])

  try FolderStorage(path: folder.path).storage(named: "key").write([1, 2], at: 0)
  let storage = FolderStorage(path: folder.path, access: .readOnly)
  #expect(try storage.lock("key") == nil)
  for name in ["key", "tree"] {
    let file = try storage.storage(named: name)
    _ = try file.bytes(at: 0, 2)
    for change: () throws -> Void in [
      { try file.write([2], at: 0) }, { try file.truncate(to: 0) },
      { try file.delete(at: 0, count: 1) },
    ] {
      let error = #expect(throws: StorageError.self) { try change() }
      #expect(error?.code == .readOnly)
      #expect(error?.reason.contains(folder.path) == true)
    }
    try file.sync()
  }
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["key"])
}

@Test(.enabled("root may write anywhere", { NSUserName() != "root" }))
func `what the system refuses says permission, and a file that can only be read is read`() throws {
  let folder = try TemporaryFolder()
  let storage = FolderStorage(path: folder.path)
  try storage.storage(named: "key").write([1, 2], at: 0)
  let manager = FileManager.default
  try manager.setAttributes([.posixPermissions: 0o400], ofItemAtPath: folder.path + "/key")
  let file = try storage.storage(named: "key")
  #expect(try file.bytes(at: 0, 2) == [1, 2])
  let error = #expect(throws: StorageError.self) { try file.write([3], at: 0) }
  #expect(error?.code == .permission)
  try manager.setAttributes([.posixPermissions: 0o500], ofItemAtPath: folder.path)
  defer { try? manager.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder.path) }
  let refused = #expect(throws: StorageError.self) {
    try storage.storage(named: "a/tree").write([1], at: 0)
  }
  #expect(refused?.code == .permission)
}

// MARK: The pool

@Test(arguments: testSeeds(standard: 5))
func `many files share few descriptors and lose nothing`(seed: UInt64) throws {
  let folder = try TemporaryFolder()
  let pool = DescriptorPool(capacity: 3)
  let storage = FolderStorage(path: folder.path, pool: pool)
  var random = SeededRandom(seed: seed)
  let files = try (0..<20).map { try storage.storage(named: "f/\($0)") }
  var model = [[UInt8]](repeating: [], count: files.count)
  for _ in 0..<400 {
    let index = Int.random(in: 0..<files.count, using: &random)
    if random.chance(0.5) {
      let bytes = random.bytes(5)
      try files[index].write(bytes, at: UInt64(model[index].count))
      model[index] += bytes
    } else if random.chance(0.1) {
      files[index].close()
    } else {
      #expect(try files[index].bytes(at: 0, 5000) == model[index])
    }
    #expect(pool.openCount <= 3)
  }
  for file in files { file.close() }
  #expect(pool.openCount == 0)
}

@Test func `a pool whose slots are all in use serves one call and lets go`() throws {
  let folder = try TemporaryFolder()
  let pool = DescriptorPool(capacity: 1)
  let storage = FolderStorage(path: folder.path, pool: pool)
  try storage.storage(named: "a").write([1], at: 0)
  let opened = try FileLocation(root: folder.path, parts: ["a"]).open(.read, "read", pool)
  let descriptor = try #require(opened)
  let ticket = pool.adopt(descriptor)
  #expect(pool.pin(ticket) == descriptor)
  pool.unpin(ticket, descriptor)
  // `ticket` is still pinned by adopt.
  let other = try storage.storage(named: "b")
  try other.write([2], at: 0)
  #expect(try other.bytes(at: 0, 1) == [2])
  #expect(pool.openCount == 1)
  #expect(pool.pin(ticket) == descriptor)
  pool.unpin(ticket, descriptor)
  pool.unpin(ticket, descriptor)
  pool.closeIdle()
  #expect(pool.openCount == 0)
  #expect(pool.pin(ticket) == nil)
}

@Test func `files of several threads stay apart under one small pool`() async throws {
  let folder = try TemporaryFolder()
  let pool = DescriptorPool(capacity: 2)
  let storage = FolderStorage(path: folder.path, pool: pool)
  try await withThrowingTaskGroup(of: Void.self) { group in
    for task in 0..<8 {
      group.addTask {
        let file = try storage.storage(named: "\(task)")
        let bytes = [UInt8](repeating: UInt8(task), count: 100)
        for step in 0..<200 {
          try file.write(bytes, at: UInt64(step * 100))
          #expect(try file.bytes(at: UInt64(step * 100), 100) == bytes)
        }
      }
    }
    try await group.waitForAll()
  }
  #expect(pool.openCount <= 2)
}

@Test func `a sync that failed is the file's last word`() throws {
  let folder = try TemporaryFolder()
  let pool = DescriptorPool(capacity: 4) { _ in Platform.inputOutput }
  let storage = FolderStorage(path: folder.path, pool: pool)
  let file = try storage.storage(named: "data")
  try file.write([1], at: 0)
  for call: () throws -> Void in [
    { try file.sync() }, { try file.sync() }, { try file.write([2], at: 1) },
    { _ = try file.bytes(at: 0, 1) }, { _ = try file.length() }, { try file.truncate(to: 0) },
  ] {
    let error = #expect(throws: StorageError.self) { try call() }
    #expect(error?.code == .failed)
    #expect(error?.errno == Platform.inputOutput)
  }
}

// MARK: Locks

@Test func `a second lock of the same process is refused, whatever its provider`() throws {
  let folder = try TemporaryFolder()
  let storage = FolderStorage(path: folder.path)
  let lock = try #require(try storage.lock("source/bitfield"))
  let file = try storage.storage(named: "source/bitfield")
  #expect(try file.length() == 0)
  try file.write([1], at: 0)
  file.close()
  let error = #expect(throws: StorageError.self) {
    _ = try FolderStorage(path: folder.path).lock("source/bitfield")
  }
  #expect(error?.code == .locked)
  #if os(Linux)
    #expect(error?.reason.contains("this process") == true)
  #endif
  _ = try storage.lock("source/tree")
  lock.release()
  lock.release()
  let again = try #require(try storage.lock("source/bitfield"))
  #expect(try file.bytes(at: 0, 2) == [1])
  withExtendedLifetime(again) {}
}

@Test(.enabled { FileManager.default.isExecutableFile(atPath: "/usr/bin/perl") })
func `a lock of another process is refused, with its number, and is free when it ends`() throws {
  let folder = try TemporaryFolder()
  let storage = FolderStorage(path: folder.path)
  try storage.storage(named: "bitfield").write([1], at: 0)
  let holder = Process()
  holder.executableURL = URL(fileURLWithPath: "/usr/bin/perl")
  holder.arguments = [
    "-e", "open F, '+<', $ARGV[0]; flock F, 6 or die; $| = 1; print 'held'; <STDIN>",
    folder.path + "/bitfield",
  ]
  let (input, output) = (Pipe(), Pipe())
  holder.standardInput = input
  holder.standardOutput = output
  try holder.run()
  #expect(output.fileHandleForReading.readData(ofLength: 4) == Data("held".utf8))
  let error = #expect(throws: StorageError.self) { _ = try storage.lock("bitfield") }
  #expect(error?.code == .locked)
  #if os(Linux)
    #expect(error?.reason.contains("process \(holder.processIdentifier) ") == true)
  #endif
  try input.fileHandleForWriting.close()
  holder.waitUntilExit()
  #expect(try storage.lock("bitfield") != nil)
  #expect(try storage.storage(named: "bitfield").bytes(at: 0, 5) == [1])
}

@Test func `a lock's owner is found by device and inode, else by inode alone`() {
  let table = """
    1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF
    2: FLOCK  ADVISORY  WRITE 22 08:02:77 0 EOF
    3: FLOCK  ADVISORY  WRITE 33 fe:0a:77 0 EOF
    4: FLOCK  ADVISORY  WRITE 44 08:01:78 0 EOF
    4: -> FLOCK  ADVISORY  WRITE 45 08:01:78 0 EOF
    5: FLOCK  ADVISORY  WRITE 0 08:01:79 0 EOF
    """
  #expect(Platform.lockOwner(table: table, inode: 77, major: 0xfe, minor: 10) == 33)
  #expect(Platform.lockOwner(table: table, inode: 77, major: 1, minor: 1) == nil)
  #expect(Platform.lockOwner(table: table, inode: 78, major: 1, minor: 1) == 44)
  #expect(Platform.lockOwner(table: table, inode: 79, major: 8, minor: 1) == nil)
  #expect(Platform.lockOwner(table: "", inode: 77, major: 8, minor: 1) == nil)
}

@Test func `relative and slashed paths name the same folder`() throws {
  let folder = try TemporaryFolder()
  try FolderStorage(path: folder.path + "//").storage(named: "key").write([1], at: 0)
  #expect(try FolderStorage(path: folder.path).exists("key"))
  #expect(FolderStorage(path: "some/where").path.hasPrefix("/"))
}

@Test func `recorded feeds read the same through a folder as from the disk`() throws {
  let storage = FolderStorage(path: Fixtures.root.path, access: .readOnly)
  let names = try FileManager.default.subpathsOfDirectory(atPath: Fixtures.root.path + "/feeds")
  for name in names.sorted().prefix(40) {
    let expected = try? Fixtures.bytes("feeds/" + name)
    guard let expected else { continue }
    let file = try storage.storage(named: "feeds/" + name)
    #expect(try file.length() == UInt64(expected.count))
    #expect(try file.bytes(at: 0, expected.count + 7) == expected)
  }
}
