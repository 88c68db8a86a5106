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
  /// The files of this one.
  private var noted: [File] = []
  private static let head = Array("dat-swift import 2\n".utf8)
  static let name = "import"

  init() {}

  /// Reads the record; empty if the bytes are none.
  init(_ bytes: [UInt8]) {
    guard bytes.starts(with: Self.head) else { return }
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
      else { return }
      let (seq, isTooLarge) = last.addingReportingOverflow(step)
      guard step > 0, !isTooLarge else { return }
      found.append(File(seq: seq, size: size, mtime: mtime, inode: inode))
      last = seq
    }
    known = found
  }

  /// The state at the last import of the file of an entry; nil for a file that is not known.
  subscript(seq: UInt64) -> File? {
    let place = known.firstPlace(from: seq) { $0.seq }
    return place < known.count && known[place].seq == seq ? known[place] : nil
  }

  /// Adds a file of this import.
  mutating func note(_ file: File) { noted.append(file) }

  /// Takes the state over of a file that this import can't read.
  mutating func keep(_ seq: UInt64) {
    if let file = self[seq] { noted.append(file) }
  }

  /// The record of this import.
  var bytes: [UInt8] {
    var bytes = Self.head
    bytes.reserveCapacity(bytes.count + noted.count * 20)
    // The first import notes them in this order: then no copy is made.
    let isSorted = zip(noted, noted.dropFirst()).allSatisfy { $0.seq < $1.seq }
    var last: UInt64 = 0
    for file in isSorted ? noted : noted.sorted(by: { $0.seq < $1.seq }) where file.seq > last {
      for number in [file.seq - last, file.size, file.mtime, file.inode] {
        Varint.write(number, to: &bytes)
      }
      last = file.seq
    }
    return bytes
  }
}
