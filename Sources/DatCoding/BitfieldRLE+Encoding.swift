extension BitfieldRLE {
  /// Encodes `bytes` byte for byte as the reference does. Zeros at the end are left out, so all
  /// zeros encode to nothing.
  public static func encode(_ bytes: [UInt8]) -> [UInt8] {
    bytes.withUnsafeBytes { encode($0) }
  }

  /// Encodes `bytes` byte for byte as the reference does.
  public static func encode(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var count = bytes.count
    while count > 0, bytes[count - 1] == 0 { count -= 1 }
    var encoder = Encoder(bytes: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    return encoder.encode()
  }

  private struct Encoder {
    let bytes: UnsafeRawBufferPointer
    var output: [UInt8] = []
    /// The start of the bytes that are not written yet.
    var start = 0
    /// The length of the run of `value` at the end of the bytes read so far.
    var run = 0
    var value: UInt8 = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func encode() -> [UInt8] {
      for (index, byte) in bytes.enumerated() {
        if byte == value {
          run += 1
          continue
        }
        if run > 0 { flush(before: index) }
        if byte == 0 || byte == 0xff {
          value = byte
          run = 1
        } else {
          run = 0
        }
      }
      if run > 0 { flush(before: bytes.count) }
      if start < bytes.count { literal(start..<bytes.count) }
      return output
    }

    /// Writes the run that ends before `end` on its own, if that is shorter than including it in a
    /// literal.
    private mutating func flush(before end: Int) {
      let before = end - run - start
      let head = UInt64(run) * 4 + (value == 0xff ? 2 : 0) + 1
      let apart =
        (before > 0 ? Varint.length(UInt64(before) * 2) + before : 0) + Varint.length(head)
      let together = Varint.length(UInt64(end - start) * 2) + end - start
      guard apart < together else { return }
      if before > 0 { literal(start..<start + before) }
      Varint.write(head, to: &output)
      start = end
    }

    private mutating func literal(_ range: Range<Int>) {
      Varint.write(UInt64(range.count) * 2, to: &output)
      output.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[range]))
    }
  }
}
