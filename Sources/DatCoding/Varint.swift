/// Unsigned LEB128 integers: seven bits in each byte, lowest first, the top bit set on all but the
/// last.
///
/// Used for frame lengths, channel headers, run lengths, trie buckets and versions.
/// Source: the `varint` package of the reference. Fixture: `vectors/varint.json`.
public enum Varint {
  /// The largest integer that the reference can hold exactly, 2^53 - 1. Larger integers from
  /// outside are refused.
  public static let maximum: UInt64 = (1 << 53) - 1

  /// The most bytes that one varint may take, padding included.
  public static let maximumLength = 10

  /// The number of bytes of the shortest form of `value`: 1 to 10.
  @inlinable
  public static func length(_ value: UInt64) -> Int {
    value < 0x80 ? 1 : (70 - value.leadingZeroBitCount) / 7
  }

  /// Appends the shortest form of `value` to `output`.
  @inlinable
  public static func write(_ value: UInt64, to output: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    output.append(UInt8(truncatingIfNeeded: rest))
  }

  /// The result of reading a varint.
  @frozen
  public enum Reading: Equatable, Sendable {
    /// A value, and the number of bytes that it took.
    case value(UInt64, length: Int)
    /// The bytes end inside the integer.
    case incomplete
    /// More than ten bytes, or more than 64 bits.
    case malformed
  }

  /// Reads one integer at the start of `bytes`. Padded forms are accepted, as in the reference.
  @inlinable
  public static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    var position = 0
    while position < bytes.count {
      if position == maximumLength { return .malformed }
      let byte = bytes[position]
      let bits = UInt64(byte & 0x7f)
      if shift == 63, bits > 1 { return .malformed }
      value |= bits << shift
      position += 1
      if byte < 0x80 { return .value(value, length: position) }
      shift += 7
    }
    return position >= maximumLength ? .malformed : .incomplete
  }
}
