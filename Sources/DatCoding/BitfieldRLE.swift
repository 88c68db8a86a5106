/// The run-length encoding of bitfields in Have messages.
///
/// A sequence of runs, each with a varint in front. An odd varint, `4 * n + 2 * v + 1`, stands for `n` bytes
/// of `ff` (`v` = 1) or `00` (`v` = 0); an even one, `2 * n`, for the `n` literal bytes that follow it. Bit 0
/// is the top bit of byte 0; missing bytes at the end are zero.
/// Source: the `bitfield-rle` package of the reference. Fixture: `vectors/bitfield-rle.json`.
public enum BitfieldRLE {
  /// The content of a run.
  @frozen
  public enum Content: Hashable, Sendable {
    /// Bytes of `00`.
    case zeros
    /// Bytes of `ff`.
    case ones
    /// Literal bytes, at this offset of the encoded bytes.
    case literal(at: Int)
  }

  /// A stretch of decoded bytes.
  @frozen
  public struct Run: Hashable, Sendable {
    /// The offset of its first byte in the decoded bytes.
    public let offset: Int
    /// The number of decoded bytes that it covers; never 0.
    public let count: Int
    public let content: Content

    @inlinable
    init(offset: Int, count: Int, content: Content) {
      self.offset = offset
      self.count = count
      self.content = content
    }
  }

  /// The reason why encoded bytes were refused.
  public enum DecodingError: Error, Hashable, Sendable {
    /// A varint is incomplete or too long, or literal bytes are missing.
    case malformed
    /// The runs cover more decoded bytes than the caller allows.
    case tooLong
  }

  /// The runs of an encoded bitfield, checked as a whole when they are made and decoded during iteration.
  ///
  /// They take memory and time in proportion to the encoded bytes, whatever size those decode to.
  public struct Runs: Sequence, Sendable {
    /// The encoded bytes, into which ``Content/literal(at:)`` points.
    public let encoded: [UInt8]
    /// The total number of decoded bytes that the runs cover.
    public let decodedCount: Int

    /// - Parameter limit: the most decoded bytes that the runs may cover.
    /// - Throws: ``DecodingError`` if the bytes are not runs, or cover more than `limit`.
    public init(_ encoded: [UInt8], limit: Int) throws(DecodingError) {
      self.encoded = encoded
      var total = 0
      var position = 0
      while position < encoded.count {
        guard let (count, content, next) = BitfieldRLE.run(in: encoded, at: position) else {
          throw .malformed
        }
        if case .literal = content, count > UInt64(encoded.count - next) { throw .malformed }
        guard count <= UInt64(limit - total) else { throw .tooLong }
        total += Int(count)
        if case .literal = content { position = next + Int(count) } else { position = next }
      }
      decodedCount = total
    }

    @inlinable
    public func makeIterator() -> Iterator { Iterator(encoded: encoded) }

    public struct Iterator: IteratorProtocol, Sendable {
      @usableFromInline let encoded: [UInt8]
      @usableFromInline var position = 0
      @usableFromInline var offset = 0

      @inlinable
      init(encoded: [UInt8]) { self.encoded = encoded }

      /// Returns the next run that isn't empty.
      @inlinable
      public mutating func next() -> Run? {
        while position < encoded.count {
          // Checked when the runs were made.
          guard let (count, content, next) = BitfieldRLE.run(in: encoded, at: position) else {
            return nil
          }
          let length = Int(count)
          position = next
          if case .literal = content { position += length }
          if length == 0 { continue }
          defer { offset += length }
          return Run(offset: offset, count: length, content: content)
        }
        return nil
      }
    }
  }

  /// Reads the run at `position`, and the offset after its varint; nil if there is no varint.
  @inlinable
  static func run(in encoded: [UInt8], at position: Int) -> (
    count: UInt64, content: Content, next: Int
  )? {
    encoded.withUnsafeBytes { bytes in
      let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
      guard case .value(let head, let length) = Varint.read(rest) else { return nil }
      let next = position + length
      if head & 1 == 0 { return (head >> 1, .literal(at: next), next) }
      return (head >> 2, head & 2 == 0 ? .zeros : .ones, next)
    }
  }

  /// Decodes `encoded`, without any zeros that are left out at the end.
  ///
  /// - Parameter limit: the most bytes that it may decode to, which is checked before anything is allocated.
  public static func decode(_ encoded: [UInt8], limit: Int) throws(DecodingError) -> [UInt8] {
    let runs = try Runs(encoded, limit: limit)
    var decoded: [UInt8] = []
    decoded.reserveCapacity(runs.decodedCount)
    for run in runs {
      switch run.content {
      case .zeros: decoded.append(contentsOf: repeatElement(0, count: run.count))
      case .ones: decoded.append(contentsOf: repeatElement(0xff, count: run.count))
      case .literal(let start): decoded.append(contentsOf: encoded[start..<start + run.count])
      }
    }
    return decoded
  }
}
