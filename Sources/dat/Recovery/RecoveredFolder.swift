internal import CMalloc
internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// The folder that replaces a forked one.
///
/// It is made beside the old one and then exchanged with it in one step. A process that is killed leaves either
/// the old folder in its place, and part of a new one that the next run discards, or the new one in its place,
/// and the old one beside it:
///
///     DIR old                                      nothing yet
///     DIR old    DIR.recovering new, unfinished    thrown away by the next run
///     DIR new    DIR.recovering old                moved aside by the next run
///     DIR new    DIR.forked-1 old                  done
///
/// The key of a discarded folder has never been seen by anybody.
struct RecoveredFolder {
  let old: ForkedFolder
  /// True if the forked feed keeps its length here, and nothing is written again.
  let keepsHistory: Bool

  private var path: String { old.path }
  private static func building(_ path: String) -> String { path + ".recovering" }
  /// The name of the mark in a folder that is being made, or that is not final in its place yet.
  private static let mark = "recovering"

  /// The result of the replacement.
  struct Result {
    var newKey: PublicKey
    /// The new location of the old folder.
    var aside: String
    /// The number of messages and entries that were written again.
    var count: Int
    /// True if another writer has to authorize the new key.
    var waits: Bool
  }

  // MARK: The remains of an earlier run

  /// Finishes, or reverts, what a killed run left.
  ///
  /// - Returns: the location of the old folder, if the new one had already taken its place.
  static func finishEarlier(_ path: String) throws -> String? {
    let files = FileManager.default
    let building = building(path)
    var aside: String?
    if files.fileExists(atPath: building) {
      if files.fileExists(atPath: building + "/" + mark) {
        // If no exchange was possible, the old one may have been moved and the new one not.
        if !files.fileExists(atPath: path), isReady(building) {
          try files.moveItem(atPath: building, toPath: path)
        } else {
          try discard(building)
        }
      } else if try files.contentsOfDirectory(atPath: building).isEmpty {
        try files.removeItem(atPath: building)
      } else {
        let name = freeName(path)
        try files.moveItem(atPath: building, toPath: name)
        aside = name
      }
    }
    if files.fileExists(atPath: path + "/" + mark) {
      if aside == nil { aside = newestAside(path) }
      try files.removeItem(atPath: path + "/" + mark)
    }
    return aside
  }

  /// Removes a new folder, its mark last: without that it would pass for an old folder.
  private static func discard(_ folder: String) throws {
    let files = FileManager.default
    for name in try files.contentsOfDirectory(atPath: folder) where name != mark {
      try files.removeItem(atPath: "\(folder)/\(name)")
    }
    try files.removeItem(atPath: "\(folder)/\(mark)")
    try files.removeItem(atPath: folder)
  }

  private static func isReady(_ folder: String) -> Bool {
    FileManager.default.contents(atPath: folder + "/" + mark) == Data("ready\n".utf8)
  }

  private static func freeName(_ path: String) -> String {
    var number = 1
    while FileManager.default.fileExists(atPath: "\(path).forked-\(number)") { number += 1 }
    return "\(path).forked-\(number)"
  }

  private static func newestAside(_ path: String) -> String? {
    var number = 1
    while FileManager.default.fileExists(atPath: "\(path).forked-\(number)") { number += 1 }
    return number > 1 ? "\(path).forked-\(number - 1)" : nil
  }

  // MARK: Making it

  /// Makes the new folder and replaces the old one with it.
  ///
  /// - Throws: the error of a file or a feed. The old folder is unchanged then.
  func make() async throws -> Result {
    let files = FileManager.default
    let building = Self.building(path)
    let storage = FolderStorage(path: path)
    let lock = try storage.lock(old.prefix.isEmpty ? "bitfield" : "source/bitfield")
    defer { lock?.release() }
    do {
      try files.createDirectory(
        atPath: building, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700]
      )
      try Data("unfinished\n".utf8).write(to: URL(fileURLWithPath: building + "/" + Self.mark))
      let (key, count) =
        old.kind == .feed ? try copyFeed(to: building) : try await fill(building)
      try Data("ready\n".utf8).write(
        to: URL(fileURLWithPath: building + "/" + Self.mark), options: .atomic)
      sync()
      let aside = try exchange()
      return Result(
        newKey: key, aside: aside, count: count, waits: old.kind != .feed)
    } catch {
      // Nobody has seen any of it.
      if files.fileExists(atPath: building + "/" + Self.mark) {
        try? Self.discard(building)
      }
      throw error
    }
  }

  private func exchange() throws -> String {
    let files = FileManager.default
    let building = Self.building(path)
    let aside = Self.freeName(path)
    if dat_exchange_folders(path, building) == 0 {
      try files.moveItem(atPath: building, toPath: aside)
    } else {
      try files.moveItem(atPath: path, toPath: aside)
      try files.moveItem(atPath: building, toPath: path)
    }
    try files.removeItem(atPath: path + "/" + Self.mark)
    return aside
  }

  // MARK: A feed alone

  /// Copies the blocks into a feed of a new key.
  private func copyFeed(to folder: String) throws -> (PublicKey, Int) {
    let source = try openOld()
    defer { try? source.close() }
    let copy = try FeedCore.open(in: FolderStorage(path: folder))
    defer { try? copy.close() }
    try append(source, upTo: old.length, to: copy)
    guard let key = copy.key else { throw nothing }
    return (key, Int(clamping: old.length))
  }

  private func openOld() throws -> FeedCore {
    try FeedCore.open(
      in: FolderStorage(path: path, access: .readOnly), prefix: old.prefix,
      options: FeedOptions(createIfMissing: false))
  }

  private var nothing: FeedError {
    FeedError(code: .keyMissing, reason: "The feed in \(SafeText.line(path)) has no key.")
  }

  private func append(_ source: FeedCore, upTo end: UInt64, to copy: FeedCore) throws {
    var next: UInt64 = 0
    while next < end {
      var blocks: [[UInt8]] = []
      var size = 0
      while next < end, blocks.count < 1024, size < 4 << 20 {
        guard let block = try source.block(at: next) else {
          throw FeedError(
            code: .blockNotStored,
            reason: "Block \(next) of the feed \(old.key) is not here: fetch it from a peer first.")
        }
        size += block.count
        blocks.append(block)
        next += 1
      }
      try copy.append(blocks)
    }
  }

  // MARK: A database

  private func fill(_ folder: String) async throws -> (PublicKey, Int) {
    guard let database = old.database else { throw nothing }
    try copyOthers(to: folder)
    try copyForked(to: folder)
    var options = HyperDB.Options()
    options.durability = .synced
    options.update = false
    let before = try await HyperDB.open(folder: path, access: .readOnly, options: options)
    let writers = await before.feeds.filter(\.isAuthorized).map(\.key)
    await before.close()
    let db = try await HyperDB.open(folder: folder, key: database, options: options)
    do {
      let changes = keepsHistory ? [] : changes()
      for start in stride(from: 0, to: changes.count, by: 256) {
        try await db.batch(Array(changes[start..<min(start + 256, changes.count)]))
      }
      // Those that the lost part of the history had authorized.
      for writer in writers where writer != old.key {
        if await !db.isAuthorized(writer) { try await db.authorize(writer) }
      }
      let key = db.localKey
      await db.close()
      return (key, changes.count)
    } catch {
      await db.close()
      throw error
    }
  }

  private func changes() -> [HyperDB.BatchChange] {
    var carried = CarriedMessages()
    return old.items.compactMap { item in
      switch item.fate {
      case .message(let content, let kind):
        let (key, value) = carried.renewed(content, kind)
        return .put(key, value)
      case .entry(let isDeleted, let value):
        return isDeleted ? .delete(item.key) : .put(item.key, value)
      case .left: return nil
      }
    }
  }

  /// Copies everything but the feed that is written in the folder, and what is derived from the feeds.
  private func copyOthers(to folder: String) throws {
    let files = FileManager.default
    for name in try files.contentsOfDirectory(atPath: path)
    where name != "local" && name + "/" != old.prefix && name != Saga.indexFileName {
      try files.copyItem(atPath: "\(path)/\(name)", toPath: "\(folder)/\(name)")
    }
  }

  /// Stores the forked feed as that of another writer, without its secret key.
  private func copyForked(to folder: String) throws {
    let prefix = old.isSource ? "source/" : "peers/\(old.key.discoveryKey.hex)/"
    if keepsHistory {
      let files = FileManager.default
      try files.createDirectory(
        atPath: "\(folder)/\(prefix)", withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      for name in try files.contentsOfDirectory(atPath: "\(path)/\(old.prefix)")
      where name != "secret_key" && name != "marker" {
        try files.copyItem(
          atPath: "\(path)/\(old.prefix)\(name)", toPath: "\(folder)/\(prefix)\(name)")
      }
      return
    }
    // Both histories have these blocks, so signing them says nothing new.
    let source = try openOld()
    defer { try? source.close() }
    let copy = try FeedCore.open(
      in: FolderStorage(path: folder), prefix: prefix,
      options: FeedOptions(key: old.key, secretKey: source.secretKey, storeSecretKey: false))
    defer { try? copy.close() }
    try append(source, upTo: old.common, to: copy)
    try FolderStorage(path: folder).storage(named: prefix + "marker").truncate(to: 0)
  }
}
