internal import DatCoding
internal import Foundation
public import Hypercore

/// A conversion of values to the bytes of entries and back.
///
/// Stands for hyperdb's `valueEncoding`. Make your own from two functions, or from a feed's
/// `ValueEncoding`.
public struct DatabaseEncoding<Value>: Sendable {
  /// Returns the bytes of a value; nil stores none, as a `null` does.
  public let encode: @Sendable (Value) throws -> [UInt8]?
  /// Returns the value of stored bytes, of which there may be none; nil if they stand for no value.
  public let decode: @Sendable ([UInt8]?) throws -> Value?

  /// Makes an encoding of two functions; what they throw reaches the caller of the read or write.
  public init(
    encode: @escaping @Sendable (Value) throws -> [UInt8]?,
    decode: @escaping @Sendable ([UInt8]?) throws -> Value?
  ) {
    self.encode = encode
    self.decode = decode
  }

  /// Makes an encoding of values from an encoding of blocks.
  public init(_ encoding: ValueEncoding<Value>) {
    self.init(encode: { try encoding.encode($0) }, decode: { try $0.map(encoding.decode) })
  }

  func encoded(_ value: Value, _ key: [UInt8]) throws -> [UInt8]? {
    do { return try encode(value) } catch {
      throw HyperDBError(
        .value,
        "The value for \"\(String(decoding: key, as: UTF8.self))\" can't be encoded: \(error)",
        cause: error)
    }
  }

  func decoded(_ node: DatabaseNode) throws -> Value? {
    if node.isDeleted { return nil }
    do { return try decode(node.value) } catch {
      throw HyperDBError(
        .value,
        "The value of \"\(node.key)\" in block \(node.seq) of feed \(node.feed) can't be decoded: "
          + "\(error)", feed: node.feedNumber, seq: Int(node.seq), cause: error)
    }
  }
}

extension DatabaseEncoding where Value == [UInt8] {
  /// The bytes themselves: `binary`.
  public static var binary: DatabaseEncoding { DatabaseEncoding(ValueEncoding.binary) }
}

extension DatabaseEncoding where Value == String {
  /// UTF-8 text: `utf-8`.
  public static var utf8: DatabaseEncoding { DatabaseEncoding(ValueEncoding.utf8) }
}

extension DatabaseEncoding where Value: Codable {
  /// Compact JSON as hyperdb's `json` writes it: slashes are not escaped, no line feed follows, and
  /// `null` is stored as nothing at all. The fields of an object are sorted by name, so equal values have
  /// equal bytes.
  ///
  /// - Parameter type: the type of the values.
  public static func json(_ type: Value.Type = Value.self) -> DatabaseEncoding
  where Value: SendableMetatype {
    DatabaseEncoding(
      encode: { value in
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        let bytes = Array(try encoder.encode(value))
        return bytes == Array("null".utf8) ? nil : bytes
      },
      decode: { bytes in
        guard let bytes else {
          return try? JSONDecoder().decode(Value.self, from: Data("null".utf8))
        }
        return try JSONText.decode(from: bytes)
      })
  }
}
