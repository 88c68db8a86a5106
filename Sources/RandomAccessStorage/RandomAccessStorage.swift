/// One file of a feed, read and written at byte offsets.
///
/// The storage under every feed: implement it, with ``StorageProvider``, to keep feeds anywhere.
/// Calls are synchronous and come from one isolation domain at a time; an implementation needs no
/// lock for its own state. Source of the shape: the `random-access-storage` package of the reference.
public protocol RandomAccessStorage: AnyObject {
  /// Reads bytes from `offset` on into `buffer`, as many as are stored there.
  ///
  /// - Returns: how many bytes were read: less than the buffer holds where the file ends before
  ///   that, 0 at or past its end or where the file was never written. Gaps read as zero.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
    -> Int

  /// Writes all pieces, creating the file at its first write and filling gaps with zero.
  ///
  /// Made for batches: a feed gathers what one append or one arrived batch changes in a file, sorted
  /// by offset, pieces that touch each other after one another, and calls this once. A failure may
  /// leave any part of the pieces written.
  func write(_ pieces: [StorageWrite]) throws(StorageError)

  /// The number of bytes stored, 0 where the file was never written.
  func length() throws(StorageError) -> UInt64

  /// The first offset from `offset` on at which something may be stored: what lies before it reads as zero. Nil
  /// where nothing is.
  ///
  /// A sparse file may be long and hold little; with this its reader passes over what it does not hold. A storage
  /// that does not implement it takes its whole length for stored.
  func nextStored(from offset: UInt64) throws(StorageError) -> UInt64?

  /// How many bytes the file takes where it is kept: less than its length where it has holes. A storage that does
  /// not implement it has none.
  func occupied() throws(StorageError) -> UInt64

  /// Gives up the bytes in a range: afterwards they may read as zero or as before. Where the range
  /// reaches the end the file gets shorter.
  func delete(at offset: UInt64, count: UInt64) throws(StorageError)

  /// Cuts or extends (with zeros) the file to `length` bytes.
  func truncate(to length: UInt64) throws(StorageError)

  /// Returns when everything written before will survive a loss of power.
  func sync() throws(StorageError)

  /// Gives up what the storage holds open. It may be used again after that and reopens by itself.
  func close()
}

extension RandomAccessStorage {
  public func nextStored(from offset: UInt64) throws(StorageError) -> UInt64? {
    try offset < length() ? offset : nil
  }

  public func occupied() throws(StorageError) -> UInt64 { try length() }
}

/// Bytes for one place of a file.
public struct StorageWrite: Hashable, Sendable {
  /// Where the first byte goes.
  public var offset: UInt64
  /// What is written there.
  public var bytes: [UInt8]

  /// A write of `bytes` at `offset`, in bytes from the file's start.
  public init(offset: UInt64, bytes: [UInt8]) {
    self.offset = offset
    self.bytes = bytes
  }
}

/// Where feeds and databases keep their files: a folder, memory, or a place of your own.
///
/// Names are relative, with `/` between folder and file, such as `tree` for a feed opened alone or
/// `peers/<64 hex digits>/tree` in a database; nothing that a peer sent reaches a name except as hex
/// of a fixed length.
public protocol StorageProvider: Sendable {
  /// The file of this name. Nothing is created before the first write.
  func storage(named name: String) throws(StorageError) -> any RandomAccessStorage

  /// Takes the lock that marks the file `name` as being written by this process, creating the file
  /// where needed.
  ///
  /// - Returns: a token that holds the lock until it is released or deallocated; nil where this kind
  ///   of storage can't be shared (memory).
  /// - Throws: ``StorageError`` with code `locked`, naming the owner's process id where known.
  func lock(_ name: String) throws(StorageError) -> (any StorageLock)?

  /// Whether the names under `prefix` hold anything, such as `peers/<hex>/`.
  func exists(_ name: String) throws(StorageError) -> Bool

  /// Whether writing is refused: a folder opened with ``StorageAccess/readOnly``.
  var access: StorageAccess { get }

  /// What tells the stored file `name` from a copy of it, as text; nil where there is no such thing,
  /// which is what is assumed of a storage that does not implement it.
  ///
  /// A feed that is written notices by it that its folder was copied or restored from a backup.
  func identity(of name: String) throws(StorageError) -> String?

  /// Removes a file, and the folders that are empty then. A storage that does not implement it keeps it, empty.
  func remove(_ name: String) throws(StorageError)

  /// How much room there is; nil where that is unknown, which is what is assumed of a storage that does not implement
  /// it.
  func space() throws(StorageError) -> StorageSpace?
}

/// The room on the disk that a storage is on.
public struct StorageSpace: Hashable, Sendable {
  /// How many bytes can still be written.
  public var available: UInt64
  /// How many bytes the disk holds when it is empty.
  public var total: UInt64

  /// Room for `available` more bytes of `total`.
  public init(available: UInt64, total: UInt64) {
    self.available = available
    self.total = total
  }
}

extension StorageProvider {
  public func space() throws(StorageError) -> StorageSpace? { nil }

  public func remove(_ name: String) throws(StorageError) {
    let file = try storage(named: name)
    if try file.length() > 0 { try file.truncate(to: 0) }
  }

  public func identity(of name: String) throws(StorageError) -> String? { nil }
}

/// A lock held on a storage.
public protocol StorageLock: AnyObject {
  /// Gives the lock back. Calling it again does nothing.
  func release()
}

/// What a storage may be used for.
public enum StorageAccess: Hashable, Sendable {
  /// Read and write, under a lock.
  case readWrite
  /// Read: no byte changes, no lock is taken, nothing is created.
  case readOnly
}
