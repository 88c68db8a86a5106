internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import HyperDB

/// One line of the input of `dat db import`: an object as `dat db export` prints it.
struct ImportedLine {
  /// A field that may be in base64.
  private struct Field {
    /// The text, if the value is a string.
    var string: String?
    /// The range of the value in the line.
    var range: Range<Int>?
    var isBase64 = false
  }

  private let bytes: [UInt8]
  private var key = Field()
  private var value = Field()
  private var isDeleted = false

  /// Reads a line.
  ///
  /// - Throws: a sentence that follows "Line 7: ".
  init(_ line: String) throws {
    bytes = Array(line.utf8)
    var (key, value, isDeleted) = (Field(), Field(), false)
    do throws(JSONError) {
      try JSONReader.read(bytes, within: .values) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          switch name {
          case "key": try Self.read(&key, &reader)
          case "value": try Self.read(&value, &reader)
          case "keyEncoding": key.isBase64 = try Self.isBase64(&reader)
          case "valueEncoding": value.isBase64 = try Self.isBase64(&reader)
          case "deleted": isDeleted = reader.kind == .bool ? try reader.readBool() : false
          default: break
          }
        }
      }
    } catch {
      switch error.problem {
      case .halfPair:
        throw ValidationError(
          "\(error); write the bytes as base64, with \"keyEncoding\":\"base64\" or \"valueEncoding\"."
        )
      default:
        throw ValidationError(
          "it is no JSON object with a \"key\" and what else import knows: \(error).")
      }
    }
    (self.key, self.value, self.isDeleted) = (key, value, isDeleted)
  }

  private static func read(
    _ field: inout Field, _ reader: inout JSONReader
  ) throws(JSONError) {
    let isString = reader.kind == .string
    let start = reader.offset
    field.string = nil
    if isString { field.string = try reader.readExactString() } else { try reader.skip() }
    field.range = start..<reader.offset
  }

  private static func isBase64(_ reader: inout JSONReader) throws(JSONError) -> Bool {
    let start = reader.offset
    guard let name = try reader.readStringIfPresent(), ForeignText(name) == ForeignText("base64")
    else { throw JSONError(.malformed, at: start) }
    return true
  }

  /// Returns the line's change of a database whose values are in an encoding.
  ///
  /// - Throws: a sentence that follows "Line 7: ".
  func change(_ format: ValueFormat) throws -> HyperDB.BatchChange {
    guard let text = key.string else {
      throw ValidationError("it is no JSON object with a \"key\" that is a string.")
    }
    let name = key.isBase64 ? try Self.base64(text, "key") : Array(text.utf8)
    if isDeleted { return .delete(name) }
    guard let range = value.range else { throw ValidationError("the object has no \"value\".") }
    let compact = try JSONText.compact(Array(bytes[range]))
    if !value.isBase64 {
      if value.string == nil, compact.utf8.elementsEqual("null".utf8) { return .put(name, nil) }
      if format == .json { return .put(name, Array(compact.utf8)) }
    }
    guard let text = value.string else { throw ValidationError("the value is no string.") }
    let isBase64 = value.isBase64 || format == .binary
    return .put(name, isBase64 ? try Self.base64(text, "value") : Array(text.utf8))
  }

  private static func base64(_ text: String, _ what: String) throws -> [UInt8] {
    guard let data = Data(base64Encoded: text) else {
      throw ValidationError("the \(what) is no base64.")
    }
    return Array(data)
  }
}
