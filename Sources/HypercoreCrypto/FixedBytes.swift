internal import DatCoding

/// A value of a fixed number of bytes, held inline: a key, a hash or a signature.
///
/// The length is checked once, when foreign bytes are converted to such a value.
public protocol FixedBytes: Hashable, Sendable, CustomStringConvertible {
  /// The number of bytes of every value of this type.
  static var byteCount: Int { get }

  /// Creates a value of zeros.
  init()

  /// Calls `body` with the bytes in place.
  func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result

  /// Calls `body` to change the bytes in place.
  mutating func withUnsafeMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result
}

extension FixedBytes {
  /// Creates a value from exactly ``byteCount`` bytes; nil for any other number.
  @inlinable
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init()
    withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
  }

  /// Creates a value from exactly ``byteCount`` bytes; nil for any other number.
  @inlinable
  public init?(bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init()
    withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
  }

  /// Creates a value from exactly twice ``byteCount`` hex digits, of either case; nil for anything
  /// else.
  public init?(hex: some StringProtocol) {
    guard let bytes = Hex.decode(hex) else { return nil }
    self.init(bytes: bytes)
  }

  /// The bytes as an array.
  @inlinable
  public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

  /// The bytes as lowercase hex digits.
  public var hex: String { withUnsafeBytes { Hex.encode($0) } }

  /// The bytes as lowercase hex digits.
  public var description: String { hex }

  /// True if every byte is zero, which marks a slot that was never written.
  @inlinable
  public var isZero: Bool { withUnsafeBytes { $0.allSatisfy { $0 == 0 } } }
}

/// Storage of 32 bytes.
@frozen
public struct Words4: Hashable, Sendable {
  @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  @inlinable init() {}

  @inlinable
  public static func == (left: Self, right: Self) -> Bool {
    left.words.0 == right.words.0 && left.words.1 == right.words.1
      && left.words.2 == right.words.2 && left.words.3 == right.words.3
  }

  @inlinable
  public func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }
}

/// Storage of 64 bytes.
@frozen
public struct Words8: Hashable, Sendable {
  @usableFromInline var low = Words4()
  @usableFromInline var high = Words4()

  @inlinable init() {}
}
