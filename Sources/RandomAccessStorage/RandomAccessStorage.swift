/// One file of a feed, read and written at byte offsets.
///
/// The storage under every feed: implement it, with ``StorageProvider``, to keep feeds anywhere. Calls are
/// synchronous and come from one isolation domain at a time, so an implementation needs no lock for its own
/// state. Based on the `random-access-storage` package of the reference.
public protocol RandomAccessStorage: AnyObject {
  /// Reads bytes from `offset` on into `buffer`, as many as are stored there.
  ///
  /// - Returns: the number of bytes that were read: less than the buffer holds if the file ends before that,
  ///   0 at or past its end or if the file was never written. Gaps read as zero.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
    -> Int

  /// Writes all pieces, creating the file at its first write and filling gaps with zeros.
  ///
  /// Made for batches: a feed gathers all changes of one append, or of one received batch, to a file, sorted
  /// by offset, and calls this once. A failure may leave any part of the pieces written.
  func write(_ pieces: [StorageWrite]) throws(StorageError)

  /// The number of bytes stored; 0 if the file was never written.
  func length() throws(StorageError) -> UInt64

  /// The first offset from `offset` on at which something may be stored; everything before it reads as zero.
  /// Nil if there is nothing.
  ///
  /// A sparse file may be long and hold little; with this its reader skips the holes. By default, the whole
  /// length counts as stored.
  func nextStored(from offset: UInt64) throws(StorageError) -> UInt64?

  /// The number of bytes that the file takes on its disk: less than its length if it has holes. By default,
  /// it has none.
  func occupied() throws(StorageError) -> UInt64

  /// Releases the bytes in a range: afterwards they may read as zero or as before. If the range reaches the
  /// end, the file gets shorter.
  func delete(at offset: UInt64, count: UInt64) throws(StorageError)

  /// Cuts or extends (with zeros) the file to `length` bytes.
  func truncate(to length: UInt64) throws(StorageError)

  /// Returns once everything written before will survive a power loss.
  func sync() throws(StorageError)

  /// Releases what the storage holds open. It may be used again after that and reopens by itself.
  func close()
}

extension RandomAccessStorage {
  public func nextStored(from offset: UInt64) throws(StorageError) -> UInt64? {
    try offset < length() ? offset : nil
  }

  public func occupied() throws(StorageError) -> UInt64 { try length() }
}

/// Bytes to write at an offset of a file.
public struct StorageWrite: Hashable, Sendable {
  /// The offset of the first byte.
  public var offset: UInt64
  /// The bytes to write.
  public var bytes: [UInt8]

  /// Creates a write of `bytes` at `offset`, in bytes from the file's start.
  public init(offset: UInt64, bytes: [UInt8]) {
    self.offset = offset
    self.bytes = bytes
  }
}

/// A provider of the files of feeds and databases: a folder, memory, or an implementation of your own.
///
/// Names are relative, with `/` between folder and file, such as `tree` for a feed opened alone or
/// `peers/<64 hex digits>/tree` in a database. Bytes from a peer become part of a name only as hex of a fixed
/// length.
public protocol StorageProvider: Sendable {
  /// Returns the file of this name. Nothing is created before the first write.
  func storage(named name: String) throws(StorageError) -> any RandomAccessStorage

  /// Takes the lock that marks the file `name` as being written by this process, creating the file if needed.
  ///
  /// - Returns: a token that holds the lock until it is released or deallocated; nil if this kind of storage
  ///   can't be shared (memory).
  /// - Throws: ``StorageError`` with code `locked`, naming the owner's process id if it is known.
  func lock(_ name: String) throws(StorageError) -> (any StorageLock)?

  /// Returns whether there is a file of this name, or a folder with anything in it, such as `peers/<hex>/`.
  func exists(_ name: String) throws(StorageError) -> Bool

  /// The access: writing is refused to a folder opened with ``StorageAccess/readOnly``.
  var access: StorageAccess { get }

  /// Text that distinguishes the stored file `name` from a copy of it; nil if there is no such thing, which
  /// is the default.
  ///
  /// With it a feed that is written detects that its folder was copied or restored from a backup.
  func identity(of name: String) throws(StorageError) -> String?

  /// Removes a file, and the folders that are empty then. By default, the file is kept, empty.
  func remove(_ name: String) throws(StorageError)

  /// The room that there is; nil if that is unknown, which is the default.
  func space() throws(StorageError) -> StorageSpace?
}

/// The room on the disk of a storage.
public struct StorageSpace: Hashable, Sendable {
  /// The number of bytes that can still be written.
  public var available: UInt64
  /// The number of bytes that the disk holds when it is empty.
  public var total: UInt64

  /// Creates a value for `available` more bytes of `total`.
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
  /// Releases the lock. A second call does nothing.
  func release()
}

/// The permitted uses of a storage.
public enum StorageAccess: Hashable, Sendable {
  /// Read and write, under a lock.
  case readWrite
  /// Read: no byte changes, no lock is taken, nothing is created.
  case readOnly
}
