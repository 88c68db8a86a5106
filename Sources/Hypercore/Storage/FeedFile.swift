internal import RandomAccessStorage

/// One of a feed's files: its name and its storage, whose errors it converts to the feed's.
struct FeedFile {
  let name: String
  let storage: any RandomAccessStorage

  /// Creates a file that is kept in a storage of its own.
  init(_ name: String, _ storage: any RandomAccessStorage) {
    self.name = name
    self.storage = storage
  }

  init(_ name: String, in provider: any StorageProvider) throws(FeedError) {
    self.name = name
    do {
      storage = try provider.storage(named: name)
    } catch {
      throw FeedError(error)
    }
  }

  /// Reads as many of `count` bytes as are stored at `offset`.
  func read(at offset: UInt64, count: Int) throws(FeedError) -> [UInt8] {
    var failure: StorageError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(StorageError) {
        filled = try storage.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
      } catch {
        failure = error
      }
    }
    if let failure { throw FeedError(failure) }
    return bytes
  }

  /// Fills the start of `buffer`, and zeroes the part beyond the end of the file.
  ///
  /// - Returns: the number of bytes that were read.
  @discardableResult
  func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FeedError) -> Int {
    let count: Int
    do {
      count = try storage.read(at: offset, into: buffer)
    } catch {
      throw FeedError(error)
    }
    if count < buffer.count {
      UnsafeMutableRawBufferPointer(rebasing: buffer[max(count, 0)...])
        .initializeMemory(as: UInt8.self, repeating: 0)
    }
    return count
  }

  func write(_ pieces: [StorageWrite]) throws(FeedError) {
    guard !pieces.isEmpty else { return }
    do {
      try storage.write(pieces)
    } catch {
      throw FeedError(error)
    }
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(FeedError) {
    try write([StorageWrite(offset: offset, bytes: bytes)])
  }

  func length() throws(FeedError) -> UInt64 {
    do {
      return try storage.length()
    } catch {
      throw FeedError(error)
    }
  }

  /// The first offset from `offset` on at which something may be stored; nil if there is nothing.
  func nextStored(from offset: UInt64) throws(FeedError) -> UInt64? {
    do {
      return try storage.nextStored(from: offset)
    } catch {
      throw FeedError(error)
    }
  }

  /// The number of bytes that the file takes on its disk.
  func occupied() throws(FeedError) -> UInt64 {
    do {
      return try storage.occupied()
    } catch {
      throw FeedError(error)
    }
  }

  func delete(at offset: UInt64, count: UInt64) throws(FeedError) {
    do {
      try storage.delete(at: offset, count: count)
    } catch {
      throw FeedError(error)
    }
  }

  func truncate(to length: UInt64) throws(FeedError) {
    do {
      try storage.truncate(to: length)
    } catch {
      throw FeedError(error)
    }
  }

  func sync() throws(FeedError) {
    do {
      try storage.sync()
    } catch {
      throw FeedError(error)
    }
  }
}
