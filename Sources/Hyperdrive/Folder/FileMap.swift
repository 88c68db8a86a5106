/// A map from the bytes of the content feed to the files of the newest version.
///
/// Offsets rise with each entry, so new files nearly always go to the end.
struct FileMap {
  /// A file, found by its path. One object for both ways to it: a folder can have a great many.
  ///
  /// Of the stat it has what is needed of it here; the owner, the group and the time of creation are not.
  final class File: Hashable, Sendable {
    let seq: UInt64
    let path: ArchivePath
    private let (size, byteOffset, blocks, offset): (UInt64, UInt64, UInt64, UInt64)
    private let mtime: UInt64
    private let mode: UInt32

    var stat: FileStat {
      FileStat(
        mode: mode, size: size, blocks: blocks, offset: offset, byteOffset: byteOffset,
        mtime: mtime, ctime: mtime)
    }
    var entry: ArchiveEntry { ArchiveEntry(seq: seq, path: path, stat: stat) }
    var bytes: Range<UInt64> { stat.byteRange ?? 0..<0 }

    /// Nil for a deletion.
    convenience init?(_ entry: ArchiveEntry) {
      guard let stat = entry.stat else { return nil }
      self.init(entry.seq, entry.path, stat)
    }

    private init(_ seq: UInt64, _ path: ArchivePath, _ stat: FileStat) {
      (self.seq, self.path) = (seq, path)
      (size, byteOffset) = (stat.size, stat.byteOffset)
      (blocks, offset) = (stat.blocks, stat.offset)
      (mtime, mode) = (stat.mtime, stat.mode)
    }

    /// Makes a stand-in for the file of a path, with which to search for it.
    fileprivate convenience init(of path: ArchivePath) { self.init(0, path, .folder) }

    static func == (left: File, right: File) -> Bool { left.path == right.path }
    func hash(into hasher: inout Hasher) { hasher.combine(path) }
  }

  /// The current entries by their paths.
  struct Current {
    fileprivate var files: Set<File> = []

    subscript(path: ArchivePath) -> File? {
      guard !files.isEmpty, let index = files.firstIndex(of: File(of: path)) else { return nil }
      return files[index]
    }
  }

  /// The files by their first byte. Removed ones are nil until there are too many of them.
  private var files: [File?] = []
  private var starts: [UInt64] = []
  private var gone = 0
  /// The current entry of every file, empty ones among them.
  private(set) var current = Current()

  /// The number of files.
  var count: Int { current.files.count }

  /// Adds the entry of a file, in place of an earlier one of its name.
  ///
  /// - Returns: false if it claims more than an archive can hold, or bytes of another file.
  @discardableResult
  mutating func insert(_ file: File) -> Bool {
    remove(file.path)
    guard let bytes = file.stat.byteRange, let blocks = file.stat.blockRange,
      !blocks.isEmpty || bytes.isEmpty
    else { return false }
    if bytes.isEmpty {
      current.files.insert(file)
      return true
    }
    let index = firstIndex(from: bytes.lowerBound)
    if let next = next(from: index), next.bytes.lowerBound < bytes.upperBound { return false }
    if let before = previous(before: index), before.bytes.upperBound > bytes.lowerBound {
      return false
    }
    current.files.insert(file)
    files.insert(file, at: index)
    starts.insert(bytes.lowerBound, at: index)
    return true
  }

  /// Removes the file of a name.
  mutating func remove(_ path: ArchivePath) {
    guard !current.files.isEmpty, let file = current.files.remove(File(of: path)) else { return }
    let bytes = file.bytes
    if bytes.isEmpty { return }
    var index = firstIndex(from: bytes.lowerBound)
    while index < files.count, starts[index] == bytes.lowerBound {
      if files[index] === file {
        files[index] = nil
        gone += 1
        break
      }
      index += 1
    }
    if gone > 1024, gone > files.count / 2 { compact() }
  }

  private mutating func compact() {
    files.removeAll { $0 == nil }
    starts = files.compactMap { $0?.bytes.lowerBound }
    gone = 0
  }

  /// Returns the file that has a byte of the content.
  func file(at byte: UInt64) -> File? {
    guard let file = previous(before: firstIndex(from: byte + 1)), file.bytes.contains(byte) else {
      return nil
    }
    return file
  }

  /// Returns the first file that begins at `byte` or later.
  func file(from byte: UInt64) -> File? { next(from: firstIndex(from: byte)) }

  /// The files that have bytes, sorted by the first one.
  var withBytes: [File] { files.compactMap { $0 } }

  /// The end of the last file.
  var end: UInt64 { previous(before: files.count)?.bytes.upperBound ?? 0 }

  private func firstIndex(from byte: UInt64) -> Int { starts.firstIndex(from: byte) { $0 } }

  private func next(from index: Int) -> File? {
    var index = index
    while index < files.count {
      if let file = files[index] { return file }
      index += 1
    }
    return nil
  }

  private func previous(before index: Int) -> File? {
    var index = index
    while index > 0 {
      index -= 1
      if let file = files[index] { return file }
    }
    return nil
  }
}

extension Array {
  /// Returns the index of the first element of a sorted array whose key is `key` or greater; the end if there is
  /// none.
  func firstIndex<Key: Comparable>(from key: Key, by keyOf: (Element) -> Key) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if keyOf(self[middle]) < key { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
