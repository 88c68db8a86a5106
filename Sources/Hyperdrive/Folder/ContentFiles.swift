internal import Hypercore
internal import RandomAccessStorage

/// The storage of the content feed's bytes in the user's files.
///
/// A reader's file is written under another name, in `.dat`, and moved to its place once it is complete. Bytes
/// that no file of the newest version has are not here, whatever the record says.
///
/// Source: dat-storage `index.js`.
final class ContentFiles: RandomAccessStorage {
  let folder: WorkFolder
  /// True if links stand for the files that they lead to, as in an owner's folder, whose imports follow them.
  /// Bytes are compared with those that were imported before they are sent.
  var followsLinks = false
  var map = FileMap()
  /// Files that are being received, by their entry.
  private(set) var incoming: Set<UInt64> = []
  /// Those of them that have all their bytes, their permissions and their time: they only lack their names.
  private var ready: Set<UInt64> = []
  /// Open files, the most recently used at the end.
  private var open: [(seq: UInt64, descriptor: Int32)] = []

  /// The most files that are kept open: blocks come for a few files at a time.
  private static let openFiles = 16
  private static let incomingFolder = ArchivePath(
    components: [".dat", "incoming"].map { Array($0.utf8) })

  /// Received files that are not on the disk for certain; nil if nobody asks for that.
  private var unsynced: [UInt64: ArchivePath]?

  /// - Parameter syncs: true if ``sync()`` is to bring received files to the disk.
  init(_ folder: WorkFolder, syncs: Bool = false) throws {
    self.folder = folder
    unsynced = syncs ? [:] : nil
    do {
      let names = try folder.inFolder(Self.incomingFolder) { folder throws(SystemError) in
        try FileSystem.names(in: folder)
      }
      incoming = Set(names.compactMap { UInt64(String(decoding: $0.prefix(20), as: UTF8.self)) })
    } catch {
      if !error.isMissing { throw Self.failure(error, "look into .dat/incoming") }
    }
  }

  static func incomingPath(_ seq: UInt64) -> ArchivePath {
    incomingFolder.appending(String(seq).utf8)
  }

  private static func failure(_ error: SystemError, _ what: String) -> StorageError {
    StorageError(
      code: error.isFull ? .full : .failed, path: "content.data", operation: what,
      errno: error.number,
      reason: "Could not \(what): \(error.message)."
        + (error.isFull ? " Free some space, then run the command again." : ""))
  }

  // MARK: Reading

  func read(
    at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(StorageError) -> Int {
    var done = 0
    while done < buffer.count, let file = map.file(at: offset + UInt64(done)) {
      let position = offset + UInt64(done) - file.bytes.lowerBound
      let wanted = min(
        buffer.count - done, Int(clamping: file.bytes.count - Int(clamping: position)))
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + wanted])
      let count: Int
      do {
        count = try FileSystem.read(try descriptor(of: file), at: position, into: part)
      } catch {
        // A file that is gone, or is something else now, has none of the bytes.
        if error.isFull { throw Self.failure(error, "read") }
        return done
      }
      done += count
      if count < wanted { break }
    }
    return done
  }

  private func descriptor(of file: FileMap.File) throws(SystemError) -> Int32 {
    let seq = file.seq
    if let index = open.firstIndex(where: { $0.seq == seq }) {
      let known = open.remove(at: index)
      open.append(known)
      return known.descriptor
    }
    let path = incoming.contains(seq) ? Self.incomingPath(seq) : file.path
    return keep(try folder.open(path, followingLinks: followsLinks), seq)
  }

  private func keep(_ descriptor: Int32, _ seq: UInt64) -> Int32 {
    if open.count >= Self.openFiles { FileSystem.closeFile(open.removeFirst().descriptor) }
    open.append((seq, descriptor))
    return descriptor
  }

  /// Closes a file, so that its present content is read.
  func reopen(_ seq: UInt64) {
    guard let index = open.firstIndex(where: { $0.seq == seq }) else { return }
    FileSystem.closeFile(open.remove(at: index).descriptor)
  }

  func length() throws(StorageError) -> UInt64 { map.end }

  // MARK: Writing

  func write(_ pieces: [StorageWrite]) throws(StorageError) {
    for piece in pieces {
      var done = 0
      while done < piece.bytes.count {
        let offset = piece.offset + UInt64(done)
        guard let file = map.file(at: offset) else {
          // It belongs to no file of the newest version, so there is no place for it.
          guard let next = map.file(from: offset) else { break }
          done = Int(clamping: next.bytes.lowerBound - piece.offset)
          continue
        }
        let count = min(piece.bytes.count - done, Int(clamping: file.bytes.upperBound - offset))
        do {
          try write(piece.bytes[done..<done + count], at: offset - file.bytes.lowerBound, of: file)
        } catch { throw Self.failure(error, "write \(file.path)") }
        done += count
      }
    }
  }

  private func write(
    _ bytes: ArraySlice<UInt8>, at position: UInt64, of file: FileMap.File
  ) throws(SystemError) {
    let seq = file.seq
    ready.remove(seq)
    unsynced?[seq] = file.path
    let descriptor = try receiving(seq)
    do throws(SystemError) {
      try bytes.withUnsafeBufferPointer { bytes throws(SystemError) in
        try FileSystem.write(descriptor, at: position, UnsafeRawBufferPointer(bytes))
      }
      // A small file comes at once, and is most often one of many: it isn't opened a second time.
      guard UInt64(bytes.count) == file.bytes.upperBound - file.bytes.lowerBound else { return }
      try finish(file.entry, descriptor)
    } catch {
      reopen(seq)
      throw error
    }
  }

  /// Returns a file under its name in `.dat`, open for writing; it is created if it is missing.
  private func receiving(_ seq: UInt64) throws(SystemError) -> Int32 {
    if incoming.contains(seq), let index = open.firstIndex(where: { $0.seq == seq }) {
      open.append(open.remove(at: index))
      return open[open.count - 1].descriptor
    }
    reopen(seq)
    let path = Self.incomingPath(seq)
    let descriptor = try folder.inFolder(path.parent, creating: true) {
      folder throws(SystemError) in
      try FileSystem.openFileForWriting(path.name, in: folder, new: false)
    }
    incoming.insert(seq)
    return keep(descriptor, seq)
  }

  /// Gives a file that has all its bytes its permissions and time.
  private func finish(_ entry: ArchiveEntry, _ descriptor: Int32) throws(SystemError) {
    guard let stat = entry.stat else { return }
    try FileSystem.setPermissions(stat.permissions | 0o600, of: descriptor)
    try FileSystem.setTime(stat.mtime, of: descriptor)
    ready.insert(entry.seq)
    reopen(entry.seq)
  }

  func delete(at offset: UInt64, count: UInt64) throws(StorageError) {}
  func truncate(to length: UInt64) throws(StorageError) {}

  func sync() throws(StorageError) {
    for (seq, path) in unsynced ?? [:] {
      do throws(SystemError) {
        if let known = open.first(where: { $0.seq == seq }) {
          try FileSystem.sync(known.descriptor)
          continue
        }
        let location = incoming.contains(seq) ? Self.incomingPath(seq) : path
        let descriptor = try folder.open(location)
        defer { FileSystem.closeFile(descriptor) }
        try FileSystem.sync(descriptor)
      } catch {
        // Of what was removed since, or replaced by its owner, nothing has to be on the disk.
        if !error.isOfName { throw Self.failure(error, "sync") }
      }
    }
    unsynced = unsynced.map { _ in [:] }
  }

  func close() {
    for file in open { FileSystem.closeFile(file.descriptor) }
    open = []
    folder.closeAll()
  }

  // MARK: Whole files

  /// Gives a received file its name, permissions and time; an empty one is created.
  ///
  /// - Parameter ifFree: true to leave what has its name already.
  /// - Returns: false if something may have its name, and nothing was moved.
  @discardableResult
  func install(_ entry: ArchiveEntry, ifFree: Bool = false) throws(SystemError) -> Bool {
    if !ready.contains(entry.seq) { try finish(entry, try receiving(entry.seq)) }
    let source = Self.incomingPath(entry.seq)
    try folder.makeFolder(entry.path.parent)
    let isMoved = try folder.inFolder(source.parent) { from throws(SystemError) in
      try folder.inFolder(entry.path.parent) { target throws(SystemError) in
        if ifFree {
          return try FileSystem.renameIfFree(
            source.name, in: from, to: entry.path.name, in: target)
        }
        try FileSystem.rename(source.name, in: from, to: entry.path.name, in: target)
        return true
      }
    }
    guard isMoved else { return false }
    incoming.remove(entry.seq)
    ready.remove(entry.seq)
    return true
  }

  func move(_ source: ArchivePath, to target: ArchivePath) throws(SystemError) {
    defer { folder.leave() }
    try folder.inFolder(source.parent) { from throws(SystemError) in
      try folder.inFolder(target.parent) { folder throws(SystemError) in
        try FileSystem.rename(source.name, in: from, to: target.name, in: folder)
      }
    }
  }

  /// Discards a file that was being received.
  func discard(_ seq: UInt64) {
    reopen(seq)
    ready.remove(seq)
    guard incoming.remove(seq) != nil else { return }
    let path = Self.incomingPath(seq)
    // It is no longer looked at, and is replaced by the next one of its number.
    try? folder.inFolder(path.parent) { folder throws(SystemError) in
      try FileSystem.removeFile(path.name, in: folder)
    }
  }
}

/// A file that is being written into an archive's folder.
struct FileDraft {
  let name: ArchivePath
  let descriptor: Int32
  private(set) var leaves: [BlockLeaf] = []
  private var size: UInt64 = 0

  init(_ name: ArchivePath, _ descriptor: Int32) {
    self.name = name
    self.descriptor = descriptor
  }

  /// Adds bytes, in pieces cut as the reference does.
  mutating func add(_ bytes: [UInt8]) throws(SystemError) {
    for start in stride(from: 0, to: bytes.count, by: ArchiveLimits.chunkBytes) {
      let piece = Array(bytes[start..<min(start + ArchiveLimits.chunkBytes, bytes.count)])
      try piece.withUnsafeBufferPointer { piece throws(SystemError) in
        try FileSystem.write(descriptor, at: size, UnsafeRawBufferPointer(piece))
      }
      size += UInt64(piece.count)
      leaves.append(BlockLeaf(piece))
    }
  }
}

extension ContentFiles {
  /// Begins a file that gets its name once it is complete.
  func beginDraft() throws -> FileDraft {
    let path = Self.incomingPath(0).parent.appending("draft".utf8)
    do {
      return try folder.inFolder(path.parent, creating: true) { folder throws(SystemError) in
        let descriptor = try FileSystem.openFileForWriting(path.name, in: folder, new: false)
        try FileSystem.truncate(descriptor)
        return FileDraft(path, descriptor)
      }
    } catch { throw Archive.folderError(error, path) }
  }

  /// Gives a file that is completely written its name, permissions and time.
  func install(
    _ draft: FileDraft, at path: ArchivePath, mode: UInt32, time: UInt64
  ) throws(SystemError) {
    try FileSystem.setPermissions(mode, of: draft.descriptor)
    try FileSystem.setTime(time, of: draft.descriptor)
    try folder.makeFolder(path.parent)
    try move(draft.name, to: path)
    FileSystem.closeFile(draft.descriptor)
  }

  /// Discards a file that was begun.
  func drop(_ draft: FileDraft) { FileSystem.closeFile(draft.descriptor) }
}
