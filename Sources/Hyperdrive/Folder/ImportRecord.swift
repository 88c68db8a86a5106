internal import DatCoding
internal import RandomAccessStorage

/// The state of the disk when files were imported: a file with the same state need not be read again. It is a
/// file of this implementation's own in `.dat`, derived, and ignored if it can't be read.
struct ImportRecord {
  struct File: Hashable {
    /// The entry that the file was imported as.
    var seq: UInt64
    var size: UInt64
    /// In nanoseconds since 1970.
    var mtime: UInt64
    var inode: UInt64
  }

  /// The files of the last import, by their entries.
  private var known: [File] = []
  /// The files of this one, encoded, as far as they come in the order of their entries, and the others.
  private var noted = Self.head
  private var last: UInt64 = 0
  private var others: [File] = []
  private static let head = Array("dat-swift import 2\n".utf8)
  static let name = "import"

  init() {}

  /// Reads the record; empty if the bytes are not one.
  init(_ bytes: [UInt8]) {
    known = Self.files(in: bytes) ?? []
  }

  /// Returns the files of a record; nil if the bytes are not a whole one.
  private static func files(in bytes: [UInt8]) -> [File]? {
    guard bytes.starts(with: Self.head) else { return nil }
    var rest = bytes[Self.head.count...]
    func varint() -> UInt64? {
      let reading = rest.withUnsafeBufferPointer { Varint.read(UnsafeRawBufferPointer($0)) }
      guard case .value(let value, let length) = reading else { return nil }
      rest = rest.dropFirst(length)
      return value
    }
    var found: [File] = []
    var last: UInt64 = 0
    while !rest.isEmpty {
      guard let step = varint(), let size = varint(), let mtime = varint(), let inode = varint()
      else { return nil }
      let (seq, isTooLarge) = last.addingReportingOverflow(step)
      guard step > 0, !isTooLarge else { return nil }
      found.append(File(seq: seq, size: size, mtime: mtime, inode: inode))
      last = seq
    }
    return found
  }

  /// The state at the last import of the file of an entry; nil for a file that is not known.
  subscript(seq: UInt64) -> File? {
    let index = known.firstIndex(from: seq) { $0.seq }
    return index < known.count && known[index].seq == seq ? known[index] : nil
  }

  /// Adds a file of this import.
  mutating func note(_ file: File) {
    if file.seq > last {
      Self.write(file, after: last, to: &noted)
      last = file.seq
    } else {
      others.append(file)
    }
  }

  /// Keeps the last state of a file that this import can't read.
  mutating func keep(_ seq: UInt64) {
    if let file = self[seq] { note(file) }
  }

  /// The record of this import.
  var bytes: [UInt8] {
    // The first import notes all of them in order.
    if others.isEmpty { return noted }
    let files = ((Self.files(in: noted) ?? []) + others).sorted { $0.seq < $1.seq }
    var bytes = Self.head
    var last: UInt64 = 0
    for file in files where file.seq > last {
      Self.write(file, after: last, to: &bytes)
      last = file.seq
    }
    return bytes
  }

  private static func write(_ file: File, after last: UInt64, to bytes: inout [UInt8]) {
    for number in [file.seq - last, file.size, file.mtime, file.inode] {
      Varint.write(number, to: &bytes)
    }
  }
}
