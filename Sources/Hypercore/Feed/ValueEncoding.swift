internal import DatCoding
internal import Foundation

/// A conversion between values and the bytes of blocks.
///
/// Stands for the `valueEncoding` of hypercore and hyperdb. Two functions make an encoding of your
/// own.
public struct ValueEncoding<Value>: Sendable {
  /// Returns the bytes of a value. If it throws, so does the call that writes.
  public let encode: @Sendable (Value) throws -> [UInt8]
  /// Returns the value of some bytes. If it throws, so does the call that reads.
  public let decode: @Sendable ([UInt8]) throws -> Value

  /// Creates an encoding from two functions. The errors that they throw reach the caller of the
  /// read or write.
  public init(
    encode: @escaping @Sendable (Value) throws -> [UInt8],
    decode: @escaping @Sendable ([UInt8]) throws -> Value
  ) {
    self.encode = encode
    self.decode = decode
  }
}

extension ValueEncoding where Value == [UInt8] {
  /// The bytes themselves: `binary`.
  public static var binary: ValueEncoding { ValueEncoding(encode: { $0 }, decode: { $0 }) }
}

extension ValueEncoding where Value == String {
  /// UTF-8 text: `utf-8`. Invalid UTF-8 is read with replacement characters, as in the reference.
  public static var utf8: ValueEncoding {
    ValueEncoding(encode: { Array($0.utf8) }, decode: { String(decoding: $0, as: UTF8.self) })
  }
}

extension ValueEncoding where Value: Codable {
  /// Compact JSON followed by a line feed, as hypercore's `json` writes it: the data file of such a
  /// feed is a file of JSON lines. Slashes are not escaped.
  ///
  /// - Parameter type: the type of the value in each block.
  public static func json(_ type: Value.Type = Value.self) -> ValueEncoding
  where Value: SendableMetatype {
    ValueEncoding(
      encode: { value in
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        var bytes = Array(try encoder.encode(value))
        bytes.append(UInt8(ascii: "\n"))
        return bytes
      },
      decode: { try JSONText.decode(from: $0) })
  }
}
