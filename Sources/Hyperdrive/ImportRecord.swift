internal import DatCoding
internal import RandomAccessStorage

/// The state of the disk when files were imported: a file with the same state need not be read again. It is a
/// file of this implementation's own in `.dat`, derived, and ignored if it can't be read.
struct ImportRecord {
  struct File: Hashable {
    var size: UInt64
    var mtime: UInt64
    var inode: UInt64
    var seq: UInt64
  }

  var files: [ArchivePath: File] = [:]
  private static let head = Array("dat-swift import 1\n".utf8)
  static let name = "import"

  init() {}

  /// Reads the record; empty if the bytes are none.
  init(_ bytes: [UInt8]) {
    guard bytes.starts(with: Self.head) else { return }
    var rest = bytes.dropFirst(Self.head.count)
    func varint() -> UInt64? {
      let reading = rest.withUnsafeBufferPointer { Varint.read(UnsafeRawBufferPointer($0)) }
      guard case .value(let value, let length) = reading else { return nil }
      rest = rest.dropFirst(length)
      return value
    }
    var found: [ArchivePath: File] = [:]
    while !rest.isEmpty {
      guard let length = varint(), length <= UInt64(min(rest.count, ArchiveLimits.nameBytes)) else {
        return
      }
      let name = Array(rest.prefix(Int(length)))
      rest = rest.dropFirst(Int(length))
      guard let size = varint(), let mtime = varint(), let inode = varint(), let seq = varint()
      else {
        return
      }
      found[ArchivePath(stored: name)] = File(size: size, mtime: mtime, inode: inode, seq: seq)
    }
    files = found
  }

  var bytes: [UInt8] {
    var bytes = Self.head
    for (path, file) in files {
      Varint.write(UInt64(path.stored.count), to: &bytes)
      bytes += path.stored
      for number in [file.size, file.mtime, file.inode, file.seq] {
        Varint.write(number, to: &bytes)
      }
    }
    return bytes
  }
}
