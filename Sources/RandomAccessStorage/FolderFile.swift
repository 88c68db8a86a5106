/// One file of a ``FolderStorage``.
final class FolderFile: RandomAccessStorage {
  /// The size below which pieces are copied together before they are written, which is cheaper than
  /// describing each to the system. Larger pieces are written from where they are.
  static let smallPiece = 16 * 1024
  /// The most bytes that are copied together.
  static let gatherSize = 64 * 1024

  private let location: FileLocation
  private let access: StorageAccess
  private let pool: DescriptorPool
  private var ticket = DescriptorPool.Ticket.none
  /// True if the descriptor of `ticket` can write.
  private var isWritable = false
  /// True if the folders on the way were brought to the disk since this file was first opened.
  private var foldersAreSynced = false
  /// The error of a failed sync, kept for good: the system may have dropped what it could not write
  /// and report the file as clean from then on, so no later sync could be trusted.
  private var failure: StorageError?

  init(_ location: FileLocation, access: StorageAccess, pool: DescriptorPool) {
    self.location = location
    self.access = access
    self.pool = pool
  }

  deinit { pool.release(ticket) }

  func close() {
    pool.release(ticket)
    ticket = .none
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
    -> Int
  {
    guard buffer.count > 0, offset < StorageRange.maximum - UInt64(buffer.count) else { return 0 }
    guard let use = try begin(.read, "read") else { return 0 }
    defer { pool.unpin(use.ticket, use.descriptor) }
    switch Platform.read(use.descriptor, at: offset, into: buffer) {
    case .success(let count): return count
    case .failure(let number):
      throw location.error("read \(buffer.count) bytes at \(offset)", number)
    }
  }

  func write(_ pieces: [StorageWrite]) throws(StorageError) {
    guard !pieces.isEmpty else { return }
    for piece in pieces {
      _ = try StorageRange.end(
        of: piece.offset, count: UInt64(piece.bytes.count), path: location.path)
    }
    guard let use = try begin(.readWriteCreate, "write") else { return }
    defer { pool.unpin(use.ticket, use.descriptor) }
    var index = 0
    while index < pieces.count {
      let piece = pieces[index]
      let run = gatherable(pieces, from: index)
      if run.end - index > 1 {
        try writeGathered(pieces[index..<run.end], count: run.bytes, use.descriptor)
      } else if !piece.bytes.isEmpty {
        let number = piece.bytes.withUnsafeBytes {
          Platform.write(use.descriptor, at: piece.offset, $0)
        }
        try check(number, piece.offset, piece.bytes.count)
      }
      index = run.end
    }
  }

  func length() throws(StorageError) -> UInt64 {
    guard let use = try begin(.read, "ask for the length") else { return 0 }
    defer { pool.unpin(use.ticket, use.descriptor) }
    return try length(use.descriptor)
  }

  func nextStored(from offset: UInt64) throws(StorageError) -> UInt64? {
    guard offset < StorageRange.maximum, let use = try begin(.read, "look for data") else {
      return nil
    }
    defer { pool.unpin(use.ticket, use.descriptor) }
    switch Platform.nextData(use.descriptor, from: offset) {
    case .success(let next): return next
    case .failure(let number): throw location.error("look for data", number)
    }
  }

  func occupied() throws(StorageError) -> UInt64 {
    guard let use = try begin(.read, "ask for the size on disk") else { return 0 }
    defer { pool.unpin(use.ticket, use.descriptor) }
    switch Platform.occupied(use.descriptor) {
    case .success(let bytes): return bytes
    case .failure(let number): throw location.error("ask for the size on disk", number)
    }
  }

  func delete(at offset: UInt64, count: UInt64) throws(StorageError) {
    let end = try StorageRange.end(of: offset, count: count, path: location.path)
    guard let use = try begin(.readWrite, "delete") else { return }
    defer { pool.unpin(use.ticket, use.descriptor) }
    let length = try length(use.descriptor)
    // Bytes in the middle stay, as in the reference.
    guard offset < length, end >= length else { return }
    try cut(use.descriptor, to: offset)
  }

  func truncate(to length: UInt64) throws(StorageError) {
    _ = try StorageRange.end(of: 0, count: length, path: location.path)
    guard let use = try begin(length == 0 ? .readWrite : .readWriteCreate, "cut") else { return }
    defer { pool.unpin(use.ticket, use.descriptor) }
    try cut(use.descriptor, to: length)
  }

  func sync() throws(StorageError) {
    guard access == .readWrite, let use = try begin(.readWrite, "sync") else { return }
    defer { pool.unpin(use.ticket, use.descriptor) }
    try sync(use.descriptor)
    guard !foldersAreSynced else { return }
    for path in location.foldersOnTheWay {
      // A folder above this one that can't be opened was not created here.
      guard case .success(let folder) = Platform.openFolder(path) else { continue }
      defer { Platform.closeFile(folder) }
      try sync(folder)
    }
    foldersAreSynced = true
  }

  private func sync(_ descriptor: Int32) throws(StorageError) {
    let number = pool.sync(descriptor)
    guard number != 0 else { return }
    let cause = location.error("sync", number)
    failure = StorageError(
      code: .failed, path: location.path, operation: "sync", errno: number,
      reason: cause.reason + " The last writes may be lost: close this storage and check it.")
    throw failure ?? cause
  }

  private func length(_ descriptor: Int32) throws(StorageError) -> UInt64 {
    switch Platform.length(descriptor) {
    case .success(let length): return length
    case .failure(let number): throw location.error("ask for the length", number)
    }
  }

  private func cut(_ descriptor: Int32, to length: UInt64) throws(StorageError) {
    let number = Platform.truncate(descriptor, to: length)
    if number != 0 { throw location.error("cut to \(length) bytes", number) }
  }

  private func check(_ number: Int32, _ offset: UInt64, _ count: Int) throws(StorageError) {
    if number != 0 { throw location.error("write \(count) bytes at \(offset)", number) }
  }

  // MARK: Gathering

  /// The end of the run of small pieces from `start` on, each adjacent to the one before it, and
  /// their total size. A large piece is a run of its own.
  private func gatherable(_ pieces: [StorageWrite], from start: Int) -> (end: Int, bytes: Int) {
    var bytes = pieces[start].bytes.count
    var end = start + 1
    guard bytes < Self.smallPiece else { return (end, bytes) }
    while end < pieces.count {
      let next = pieces[end]
      guard
        next.offset == pieces[start].offset + UInt64(bytes), next.bytes.count < Self.smallPiece,
        bytes + next.bytes.count <= Self.gatherSize
      else { break }
      bytes += next.bytes.count
      end += 1
    }
    return (end, bytes)
  }

  private func writeGathered(
    _ pieces: ArraySlice<StorageWrite>, count: Int, _ descriptor: Int32
  ) throws(StorageError) {
    guard let offset = pieces.first?.offset else { return }
    let number = withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { buffer in
      var filled = 0
      for piece in pieces {
        UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyBytes(from: piece.bytes)
        filled += piece.bytes.count
      }
      return Platform.write(descriptor, at: offset, UnsafeRawBufferPointer(buffer))
    }
    try check(number, offset, count)
  }

  // MARK: The descriptor

  private struct Use {
    var descriptor: Int32
    var ticket: DescriptorPool.Ticket
  }

  /// Returns a descriptor for one call, to be unpinned after it; nil if the file is missing and the
  /// call does not create it.
  private func begin(_ mode: Platform.OpenMode, _ operation: String) throws(StorageError) -> Use? {
    if let failure { throw failure }
    if mode != .read {
      if access == .readOnly { throw .readOnly(location.path, operation) }
      if !isWritable { close() }
    }
    if let descriptor = pool.pin(ticket) { return Use(descriptor: descriptor, ticket: ticket) }
    return try open(mode, operation)
  }

  private func open(_ mode: Platform.OpenMode, _ operation: String) throws(StorageError) -> Use? {
    var opened: Int32?
    isWritable = access == .readWrite
    if mode == .read, access == .readWrite {
      // Writes usually follow, so open for both; a file that may only be read still can be.
      do throws(StorageError) {
        opened = try location.open(.readWrite, operation, pool)
      } catch  where error.code == .permission {
        isWritable = false
        opened = try location.open(.read, operation, pool)
      }
    } else {
      opened = try location.open(mode, operation, pool)
    }
    guard let descriptor = opened else { return nil }
    ticket = pool.adopt(descriptor)
    return Use(descriptor: descriptor, ticket: ticket)
  }
}
