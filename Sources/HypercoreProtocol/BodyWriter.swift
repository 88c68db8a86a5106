internal import DatCoding
internal import HypercoreCrypto

/// A writer of a message's fields into the room that was made for them, for the two messages that make up nearly all of
/// a download.
struct BodyWriter {
  private var place: UnsafeMutablePointer<UInt8>

  init(_ place: UnsafeMutablePointer<UInt8>) { self.place = place }

  /// The bytes of an integer field with a key of one byte.
  static func length(integer value: UInt64) -> Int { 1 + Varint.length(value) }

  /// The bytes of a field of `count` bytes.
  static func length(bytes count: Int) -> Int { 1 + Varint.length(UInt64(count)) + count }

  /// The bytes of a node, without its key and length.
  static func length(node: Node) -> Int {
    length(integer: node.index) + length(bytes: Digest.byteCount) + length(integer: node.size)
  }

  mutating func integer(_ field: UInt8, _ value: UInt64) {
    byte(field << 3)
    varint(value)
  }

  mutating func bytes(_ field: UInt8, _ bytes: UnsafeRawBufferPointer) {
    byte(field << 3 | 2)
    varint(UInt64(bytes.count))
    if let start = bytes.baseAddress {
      UnsafeMutableRawPointer(place).copyMemory(from: start, byteCount: bytes.count)
      place += bytes.count
    }
  }

  mutating func node(_ field: UInt8, _ node: Node) {
    byte(field << 3 | 2)
    varint(UInt64(Self.length(node: node)))
    integer(1, node.index)
    node.hash.withUnsafeBytes { bytes(2, $0) }
    integer(3, node.size)
  }

  private mutating func byte(_ value: UInt8) {
    place.pointee = value
    place += 1
  }

  /// Writes an integer in its shortest form.
  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      byte(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    byte(UInt8(truncatingIfNeeded: rest))
  }
}
