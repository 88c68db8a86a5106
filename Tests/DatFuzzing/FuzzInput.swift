/// Bytes from which a target takes its decisions, one after the other; zeros once they are used up.
struct FuzzInput {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard position < bytes.count else { return 0 }
    defer { position += 1 }
    return bytes[position]
  }

  /// Returns one of the numbers below `count`.
  mutating func choice(_ count: Int) -> Int { Int(byte()) % count }

  /// Returns a number: mostly small, at times near a power of two, where overflows are likely.
  mutating func number() -> UInt64 {
    let byte = byte()
    if byte < 0xc0 { return UInt64(byte) }
    return (UInt64(1) << UInt64(byte & 63)) &+ UInt64(self.byte()) &- 128
  }

  /// Returns up to 255 bytes, or up to 65,535 if the length starts with 255.
  mutating func chunk() -> [UInt8] {
    var count = Int(byte())
    if count == 255 { count = Int(byte()) << 8 | Int(byte()) }
    return take(count)
  }

  mutating func take(_ count: Int) -> [UInt8] {
    let end = min(position + count, bytes.count)
    defer { position = end }
    return Array(bytes[min(position, end)..<end])
  }

  mutating func rest() -> [UInt8] { take(bytes.count) }
}

/// Ends the process if an invariant is violated: the fuzzer keeps the input then.
func hold(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError(what()) }
}
