internal import Foundation

/// A storage in memory, which is gone with the last reference to it.
///
/// Files stay with the provider, so a feed that is closed and opened again on the same provider
/// finds what it wrote. Several threads may use the provider and its files at once.
public final class MemoryStorage: StorageProvider {
  public let access: StorageAccess
  private let files: MemoryFiles

  /// Creates an empty storage.
  public init() {
    access = .readWrite
    files = MemoryFiles()
  }

  /// Creates a second user of the files of `other`, with an access of its own.
  public init(sharing other: MemoryStorage, access: StorageAccess) {
    self.access = access
    files = other.files
  }

  public func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    _ = try StorageName.parts(of: name)
    return MemoryFile(name: name, content: files.content(named: name), access: access)
  }

  /// Returns nil, since memory is shared with no other process.
  public func lock(_ name: String) throws(StorageError) -> (any StorageLock)? {
    _ = try StorageName.parts(of: name)
    return nil
  }

  public func exists(_ name: String) throws(StorageError) -> Bool {
    let parts = try StorageName.parts(ofFileOrFolder: name)
    return files.exists(parts.joined(separator: "/"))
  }

  /// The names of all files written so far, sorted.
  public var names: [String] { files.names }
}

/// The table of files.
///
/// `@unchecked Sendable`: the only mutable state is `contents`, and every access to it is between
/// `lock()` and `unlock()`; what it holds is Sendable in the same way.
private final class MemoryFiles: @unchecked Sendable {
  private let lock = NSLock()
  private var contents: [String: MemoryContent] = [:]

  func content(named name: String) -> MemoryContent {
    lock.lock()
    defer { lock.unlock() }
    if let content = contents[name] { return content }
    let content = MemoryContent()
    contents[name] = content
    return content
  }

  func exists(_ name: String) -> Bool {
    let folder = name + "/"
    return names.contains { $0 == name || $0.hasPrefix(folder) }
  }

  var names: [String] {
    lock.lock()
    defer { lock.unlock() }
    return contents.filter { $0.value.isCreated }.keys.sorted()
  }
}

/// One user's view of one file.
private final class MemoryFile: RandomAccessStorage {
  let name: String
  let content: MemoryContent
  let access: StorageAccess

  init(name: String, content: MemoryContent, access: StorageAccess) {
    self.name = name
    self.content = content
    self.access = access
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
    -> Int
  {
    content.read(at: offset, into: buffer)
  }

  func write(_ pieces: [StorageWrite]) throws(StorageError) {
    guard access == .readWrite else { throw .readOnly(name, "write \(pieces.count) pieces") }
    for piece in pieces {
      _ = try StorageRange.end(of: piece.offset, count: UInt64(piece.bytes.count), path: name)
    }
    content.write(pieces)
  }

  func length() throws(StorageError) -> UInt64 { content.currentLength }

  func nextStored(from offset: UInt64) throws(StorageError) -> UInt64? {
    content.nextStored(from: offset)
  }

  func occupied() throws(StorageError) -> UInt64 { content.occupied }

  func delete(at offset: UInt64, count: UInt64) throws(StorageError) {
    guard access == .readWrite else { throw .readOnly(name, "delete \(count) bytes at \(offset)") }
    let end = try StorageRange.end(of: offset, count: count, path: name)
    content.delete(from: offset, to: end)
  }

  func truncate(to length: UInt64) throws(StorageError) {
    guard access == .readWrite else { throw .readOnly(name, "cut to \(length) bytes") }
    _ = try StorageRange.end(of: 0, count: length, path: name)
    content.truncate(to: length)
  }

  func sync() throws(StorageError) {}

  func close() {}
}

/// The bytes of one file, in pages, so that growing never copies what is there.
///
/// `@unchecked Sendable`: every method takes the lock before it accesses the mutable state, which
/// is never exposed.
private final class MemoryContent: @unchecked Sendable {
  static let pageSize = 64 * 1024
  /// The number of pages (1 GiB) that are found by index. Those beyond are found by key, so that
  /// one write at a great offset does not allocate a table for all that lies before it.
  static let nearPages = 16 * 1024

  /// The size above which a page gets all of its memory at once.
  private static let firstBytes = 4096

  private let lock = NSLock()
  private var created = false
  private var length: UInt64 = 0
  /// The near pages, each as long as it was written; beyond its end a page reads as zero.
  private var near: [[UInt8]] = []
  private var far: [Int: [UInt8]] = [:]
  /// The bytes that the pages hold together. Counted, because it is asked for often while a feed grows, and
  /// there may be many pages.
  private var held = 0

  var isCreated: Bool {
    lock.lock()
    defer { lock.unlock() }
    return created
  }

  var currentLength: UInt64 {
    lock.lock()
    defer { lock.unlock() }
    return length
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    lock.lock()
    defer { lock.unlock() }
    guard offset < length, let target = buffer.baseAddress else { return 0 }
    let total = Int(min(UInt64(buffer.count), length - offset))
    var done = 0
    while done < total {
      let position = Int(offset) + done
      let (page, start) = position.quotientAndRemainder(dividingBy: Self.pageSize)
      let count = min(Self.pageSize - start, total - done)
      if page < near.count {
        Self.copy(near[page], from: start, count: count, to: target + done)
      } else {
        Self.copy(far[page] ?? [], from: start, count: count, to: target + done)
      }
      done += count
    }
    return total
  }

  func write(_ pieces: [StorageWrite]) {
    lock.lock()
    defer { lock.unlock() }
    if !pieces.isEmpty { created = true }
    for piece in pieces where !piece.bytes.isEmpty {
      var done = 0
      while done < piece.bytes.count {
        let (page, start) = (Int(piece.offset) + done).quotientAndRemainder(
          dividingBy: Self.pageSize)
        let count = min(Self.pageSize - start, piece.bytes.count - done)
        let source = piece.bytes[done..<(done + count)]
        if page < Self.nearPages {
          if near.count <= page {
            near.append(contentsOf: repeatElement([], count: page + 1 - near.count))
          }
          held += Self.put(source, into: &near[page], at: start)
        } else {
          held += Self.put(source, into: &far[page, default: []], at: start)
        }
        done += count
      }
      length = max(length, piece.offset + UInt64(piece.bytes.count))
    }
  }

  var occupied: UInt64 {
    lock.lock()
    defer { lock.unlock() }
    return UInt64(held)
  }

  func nextStored(from offset: UInt64) -> UInt64? {
    lock.lock()
    defer { lock.unlock() }
    guard offset < length else { return nil }
    let first = Int(offset / UInt64(Self.pageSize))
    func start(_ page: Int) -> UInt64 { max(offset, UInt64(page) * UInt64(Self.pageSize)) }
    if first < near.count, let page = near[first...].firstIndex(where: { !$0.isEmpty }) {
      return start(page)
    }
    return far.keys.filter { $0 >= first }.min().map(start)
  }

  func delete(from start: UInt64, to end: UInt64) {
    lock.lock()
    defer { lock.unlock() }
    guard start < length else { return }
    if end >= length {
      cut(to: start)
      return
    }
    // Full pages inside the range are released; the rest stays as it was.
    let size = UInt64(Self.pageSize)
    let first = Int((start + size - 1) / size)
    let last = Int(end / size)
    guard first < last else { return }
    for page in first..<min(max(first, last), max(first, near.count)) {
      held -= near[page].count
      near[page] = []
    }
    keepFar { !(first..<last).contains($0) }
  }

  func truncate(to newLength: UInt64) {
    lock.lock()
    defer { lock.unlock() }
    if newLength < length {
      cut(to: newLength)
    } else if newLength > length {
      created = true
      length = newLength
    }
  }

  private func cut(to newLength: UInt64) {
    length = newLength
    let (page, start) = Int(newLength).quotientAndRemainder(dividingBy: Self.pageSize)
    if page < near.count {
      for beyond in near[(page + 1)...] { held -= beyond.count }
      near.removeSubrange((page + 1)...)
      let excess = near[page].count - start
      if excess > 0 {
        held -= excess
        near[page].removeSubrange(start...)
      }
    }
    keepFar { $0 <= page }
    if let last = far[page], last.count > start {
      held -= last.count - start
      far[page] = Array(last[..<start])
    }
  }

  private func keepFar(_ isKept: (Int) -> Bool) {
    if far.isEmpty { return }
    for (page, bytes) in far where !isKept(page) { held -= bytes.count }
    far = far.filter { isKept($0.key) }
  }

  private static func copy(
    _ page: [UInt8], from start: Int, count: Int, to target: UnsafeMutableRawPointer
  ) {
    let stored = max(0, min(count, page.count - start))
    if stored > 0 {
      page.withUnsafeBytes {
        target.copyMemory(from: $0.baseAddress! + start, byteCount: stored)
      }
    }
    if stored < count {
      (target + stored).initializeMemory(as: UInt8.self, repeating: 0, count: count - stored)
    }
  }

  /// - Returns: by how many bytes the page has grown.
  private static func put(
    _ bytes: ArraySlice<UInt8>, into page: inout [UInt8], at start: Int
  ) -> Int {
    let before = page.count
    let end = start + bytes.count
    // A page that has begun to fill will be filled: growing by halves would copy it four times.
    if before > 0, end > Self.firstBytes, page.capacity < end { page.reserveCapacity(pageSize) }
    if page.count < start {
      page.append(contentsOf: repeatElement(0, count: start - page.count))
    }
    if page.count == start {
      page.append(contentsOf: bytes)
      return page.count - before
    }
    if page.count < end { page.append(contentsOf: repeatElement(0, count: end - page.count)) }
    page.withUnsafeMutableBytes { page in
      bytes.withUnsafeBytes {
        page.baseAddress!.advanced(by: start).copyMemory(
          from: $0.baseAddress!, byteCount: $0.count)
      }
    }
    return page.count - before
  }
}
