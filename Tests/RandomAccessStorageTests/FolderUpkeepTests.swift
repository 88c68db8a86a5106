import DatTesting
import Foundation
import Testing

@testable import RandomAccessStorage

/// Removing files, what is known of one, the room there is, and the pool's own upkeep.
@Suite struct FolderUpkeepTests {
  private let folder: TemporaryFolder
  private let storage: FolderStorage
  private let pool = DescriptorPool(capacity: 8)

  init() throws {
    folder = try TemporaryFolder()
    storage = FolderStorage(path: folder.path + "/root", pool: pool)
  }

  private func write(_ name: String, _ bytes: [UInt8] = [1]) throws {
    let file = try storage.storage(named: name)
    try file.write([StorageWrite(offset: 0, bytes: bytes)])
    file.close()
  }

  private func isThere(_ name: String) -> Bool {
    FileManager.default.fileExists(atPath: storage.path + "/" + name)
  }

  @Test func `a file takes the disk space of what is written, and none before`() throws {
    let file = try storage.storage(named: "a")
    #expect(try file.occupied() == 0)
    try file.write([StorageWrite(offset: 0, bytes: [UInt8](repeating: 1, count: 100_000))])
    try file.sync()
    #expect(try file.occupied() >= 100_000)
  }

  @Test func `a file is removed with the folders that it alone kept`() throws {
    for name in ["a/b/one", "a/b/c/two", "a/three"] { try write(name) }
    try storage.remove("a/b/c/two")
    #expect(!isThere("a/b/c") && isThere("a/b/one"))
    try storage.remove("a/b/one")
    #expect(!isThere("a/b") && isThere("a/three"))
    try storage.remove("a/three")
    #expect(!isThere("a") && isThere(""))
    // All that are empty then, up to the storage's own.
    try write("x/y/z/four")
    try storage.remove("x/y/z/four")
    #expect(!isThere("x") && isThere(""))
    // Nothing to remove is no failure, with its folders or without.
    try storage.remove("a/three")
    try storage.remove("four")
  }

  @Test func `what can't be removed says why and stays`() throws {
    try write("a/one")
    let reader = FolderStorage(path: storage.path, access: .readOnly, pool: pool)
    let refused = #expect(throws: StorageError.self) { try reader.remove("a/one") }
    #expect(refused?.code == .readOnly)
    let error = #expect(throws: StorageError.self) { try storage.remove("a") }
    #expect(error?.code == .failed, "a folder is no file")
    #expect(isThere("a/one"))
  }

  @Test func `a folder exists if it holds something, however it is named`() throws {
    let manager = FileManager.default
    for name in ["empty", "hidden", "dots", "plain"] {
      try manager.createDirectory(
        atPath: storage.path + "/" + name, withIntermediateDirectories: true)
    }
    for name in ["hidden/.x", "dots/...", "plain/x"] {
      #expect(manager.createFile(atPath: storage.path + "/" + name, contents: Data()))
    }
    try manager.createSymbolicLink(
      atPath: storage.path + "/link", withDestinationPath: storage.path + "/plain")
    #expect(try !storage.exists("link") && !storage.exists("link/"))
    #expect(try !storage.exists("empty") && !storage.exists("empty/"))
    for name in ["hidden", "dots/", "plain", "plain/x"] { #expect(try storage.exists(name)) }
    #expect(try !storage.exists("plain/y") && !storage.exists("none/y"))
    #expect(throws: StorageError.self) { try storage.exists("plain//") }
    #expect(throws: StorageError.self) { try storage.exists("/") }
  }

  @Test func `a copy has another identity, and so has a file that was put back`() throws {
    try write("one", [1, 2, 3])
    let identity = try #require(try storage.identity(of: "one"))
    #expect(identity.utf8.count == 3 * 16 + 2)
    #expect(try storage.identity(of: "one") == identity)
    let path = storage.path
    try FileManager.default.copyItem(atPath: path + "/one", toPath: path + "/two")
    let copy = try #require(try storage.identity(of: "two"))
    #expect(copy.prefix(16) != identity.prefix(16))
    // Any change moves the time, which the file system keeps in steps: repeated until it shows.
    var changed = identity
    while changed == identity {
      try write("one", [1, 2, 3])
      changed = try #require(try storage.identity(of: "one"))
    }
    #expect(changed.prefix(16) == identity.prefix(16))
    try FileManager.default.createDirectory(
      atPath: path + "/folder", withIntermediateDirectories: true)
    #expect(try storage.identity(of: "folder") == nil)
    #expect(try storage.identity(of: "none") == nil)
    #expect(try storage.identity(of: "none/one") == nil)
  }

  @Test func `the room is the disk's, before the folder exists as well`() throws {
    let space = try #require(try storage.space())
    #expect(space.total > 0 && space.available <= space.total)
    let deep = FolderStorage(path: folder.path + "/not/there/yet", pool: pool)
    #expect(try deep.space()?.total == space.total)
    #expect(try FolderStorage(path: "/not-there-at-all", pool: pool).space() != nil)
    try Data([1]).write(to: folder.url.appendingPathComponent("file"))
    let error = #expect(throws: StorageError.self) {
      try FolderStorage(path: folder.path + "/file/below", pool: pool).space()
    }
    #expect(error?.code == .failed)
  }

  @Test func `the first sync brings a file's folders to the disk as well, later ones the file`()
    throws
  {
    let synced = Synced()
    let pool = DescriptorPool(capacity: 4) { descriptor in
      synced.add(descriptor)
      return Platform.sync(descriptor)
    }
    let storage = FolderStorage(path: folder.path + "/root", pool: pool)
    let file = try storage.storage(named: "a/b/one")
    try file.write([StorageWrite(offset: 0, bytes: [1])])
    try file.sync()
    // The file; its folder, the one above, the root, and the one that holds the root.
    #expect(synced.kinds == [false, true, true, true, true])
    try file.sync()
    #expect(synced.kinds == [false, true, true, true, true, false])
    // Read-only, nothing is synced.
    let reader = FolderStorage(path: storage.path, access: .readOnly, pool: pool)
    try reader.storage(named: "a/b/one").sync()
    #expect(synced.kinds.count == 6)
    let location = FileLocation(root: "/r", parts: ["a", "b", "one"])
    #expect(location.foldersOnTheWay == ["/r/a/b", "/r/a", "/r", "/"])
    #expect(FileLocation(root: "/", parts: ["one"]).foldersOnTheWay == ["/"])
  }

  @Test func `a sweep closes what was not used since the last one`() throws {
    try storage.storage(named: "gone").write([StorageWrite(offset: 0, bytes: [1])])
    let (one, two) = (try storage.storage(named: "one"), try storage.storage(named: "two"))
    try one.write([StorageWrite(offset: 0, bytes: [1])])
    try two.write([StorageWrite(offset: 0, bytes: [2])])
    // The first is released with its file.
    #expect(pool.openCount == 2)
    #expect(pool.sweep() && pool.openCount == 2)
    #expect(try one.length() == 1)
    #expect(pool.sweep() && pool.openCount == 1)
    #expect(!pool.sweep() && pool.openCount == 0)
    #expect(try two.length() == 1)
  }

  @Test(.timeLimit(.minutes(1))) func `idle files are closed by the pool itself, again and again`()
    async throws
  {
    let pool = DescriptorPool(capacity: 4, idleTime: .milliseconds(1))
    let storage = FolderStorage(path: folder.path + "/root", pool: pool)
    let file = try storage.storage(named: "one")
    for round in 0..<3 as Range<UInt64> {
      try file.write([StorageWrite(offset: round, bytes: [1])])
      while pool.openCount > 0 { await Task.yield() }
    }
  }

  @Test func `the least recently used file makes room`() throws {
    let pool = DescriptorPool(capacity: 2)
    let storage = FolderStorage(path: folder.path + "/root", pool: pool)
    func open(_ name: String) throws -> (DescriptorPool.Ticket, Int32) {
      let location = FileLocation(root: storage.path, parts: [name])
      let descriptor = try #require(try location.open(.readWriteCreate, "write", pool))
      let ticket = pool.adopt(descriptor)
      pool.unpin(ticket, descriptor)
      return (ticket, descriptor)
    }
    let (one, two) = (try open("one"), try open("two"))
    #expect(pool.pin(one.0) == one.1)
    pool.unpin(one.0, one.1)
    _ = try open("three")
    #expect(pool.pin(two.0) == nil)
    #expect(pool.pin(one.0) == one.1)
    pool.unpin(one.0, one.1)
  }

  @Test func `a file that is open for writing is not opened anew for each call`() throws {
    let file = try storage.storage(named: "one")
    try file.write([1], at: 0)
    try FileManager.default.removeItem(atPath: storage.path + "/one")
    try file.write([2], at: 1)
    #expect(try file.bytes(at: 0, 5) == [1, 2])
    #expect(!isThere("one"))
    file.close()
    try file.write([3], at: 0)
    #expect(isThere("one"))
  }

  @Test func `what went wrong is said with the advice that fits it`() throws {
    let location = FileLocation(root: "/r", parts: ["one"])
    let unsupported = try #require(Platform.locksUnsupported.first)
    #expect(location.error("lock", unsupported).reason.contains("has no locks"))
    #expect(!location.error("read", unsupported).reason.contains("has no locks"))
    #expect(!location.error("lock", Platform.inputOutput).reason.contains("has no locks"))
    #expect(location.error("read", Platform.noPlainFile).reason.contains("not a plain file"))
    #expect(!location.error("read", Platform.inputOutput).reason.contains("not a plain file"))
    #expect(location.error("read", Platform.inputOutput).code == .failed)
    for number in Platform.diskFull { #expect(location.error("write", number).code == .full) }
    for number in Platform.accessRefused {
      #expect(location.error("write", number).code == .permission)
    }
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `a full disk is reported for pieces written together, and for the rest of a large one`()
    throws
  {
    let disk = try SmallDisk(bytes: 1 << 20)
    let file = try FolderStorage(path: disk.path, pool: pool).storage(named: "data")
    try file.write([UInt8](repeating: 1, count: 256 << 10), at: 0)
    try disk.fill(leaving: 20 << 10)
    // A part of it has room.
    let large = #expect(throws: StorageError.self) {
      try file.write([UInt8](repeating: 2, count: 64 << 10), at: 256 << 10)
    }
    #expect(large?.code == .full)
    #expect(try file.bytes(at: 0, 256 << 10) == [UInt8](repeating: 1, count: 256 << 10))
    try disk.fill()
    let small = #expect(throws: StorageError.self) {
      try file.write(
        (0..<4).map {
          StorageWrite(offset: 512 << 10 + $0 * 8000, bytes: [UInt8](repeating: 3, count: 8000))
        })
    }
    #expect(small?.code == .full)
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `a folder that the system won't create is a matter of permission`() throws {
    let disk = try SmallDisk(bytes: 1 << 20)
    try #require(disk.makeReadOnly())
    let file = try FolderStorage(path: disk.path + "/new", pool: pool).storage(named: "data")
    let error = #expect(throws: StorageError.self) { try file.write([1], at: 0) }
    #expect(error?.code == .permission)
  }

  @Test func `a storage that can't remove a file empties it, and makes none for that`() throws {
    let plain = Plain()
    try plain.storage(named: "one").write([1, 2], at: 0)
    try plain.remove("one")
    #expect(try plain.storage(named: "one").length() == 0)
    try plain.remove("two")
    #expect(try !plain.exists("two"))
    #expect(try plain.identity(of: "one") == nil && plain.space() == nil)
  }
}

/// A storage with nothing but what every one has to have.
private struct Plain: StorageProvider {
  let memory = MemoryStorage()
  var access: StorageAccess { memory.access }

  func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    try memory.storage(named: name)
  }

  func lock(_ name: String) throws(StorageError) -> (any StorageLock)? { try memory.lock(name) }

  func exists(_ name: String) throws(StorageError) -> Bool { try memory.exists(name) }
}

/// The descriptors that were synced: true for a folder.
private final class Synced: @unchecked Sendable {
  // Guarded by the lock.
  private var all: [Bool] = []
  private let lock = NSLock()

  var kinds: [Bool] { lock.withLock { all } }

  func add(_ descriptor: Int32) {
    var status = stat()
    let isFolder = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    lock.withLock { all.append(isFolder) }
  }
}
