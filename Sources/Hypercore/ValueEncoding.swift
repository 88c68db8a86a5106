internal import DatCoding
internal import Foundation

/// How values are turned into the bytes of blocks and back.
///
/// Stands for the `valueEncoding` of hypercore and hyperdb. Make one of your own from two functions.
public struct ValueEncoding<Value>: Sendable {
  /// The bytes of a value; what it throws, the writing call throws.
  public let encode: @Sendable (Value) throws -> [UInt8]
  /// The value of some bytes; what it throws, the reading call throws.
  public let decode: @Sendable ([UInt8]) throws -> Value

  /// An encoding of two functions; what they throw reaches the caller of the read or write.
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
  /// UTF-8 text: `utf-8`. Bytes that are no UTF-8 are read with replacement characters, as the
  /// reference does.
  public static var utf8: ValueEncoding {
    ValueEncoding(encode: { Array($0.utf8) }, decode: { String(decoding: $0, as: UTF8.self) })
  }
}

extension ValueEncoding where Value: Codable {
  /// Compact JSON with a line feed after it, as hypercore's `json` writes it: the data file of such a
  /// feed is a file of JSON lines. Slashes are not escaped.
  ///
  /// - Parameter type: what each block holds.
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
