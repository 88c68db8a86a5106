internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import HyperDB

/// `dat db import`.
struct DbImportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Write keys and values from JSON lines on standard input, or from a file.",
    discussion: """
      Each line is an object with "key" and "value"; "deleted": true deletes the key. With --encoding \
      binary values are base64. Lines are written in batches; with an error nothing after the last \
      batch is.
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "The file; standard input if it is left out or -.", completion: .file())
  var file: String?

  @OptionGroup var values: DbValues

  func run() async throws {
    let source: InputSource
    // Before anything is created.
    do { source = try InputSource(path: file) } catch { throw folder.output.ending(with: error) }
    source.invite("Type JSON, an object a line")
    try await folder.writing(creates: true) { db in
      let writer = db.writer()
      var count = 0
      for try await line in source.lines {
        if line.bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) {
          continue
        }
        let change: HyperDB.BatchChange
        do { change = try self.change(try line.text) } catch {
          try await writer.finish()
          throw ValidationError("Line \(line.number): \(Problem.sentence(for: error))")
        }
        try await writer.write(change)
        count += 1
      }
      try await writer.finish()
      if folder.json {
        folder.output.object(["imported": .integer(Int64(count))])
      } else {
        folder.output.line("\(Amount.count(UInt64(count), "key")) written")
      }
      if count > 0 { await folder.noteIfUnauthorized(db) }
    }
  }

  private func change(_ line: String) throws -> HyperDB.BatchChange {
    var key: String?
    var isDeleted = false
    var value: Range<Int>?
    var string: String?
    let bytes = Array(line.utf8)
    do throws(JSONError) {
      try JSONReader.read(bytes, within: .values) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          switch name {
          case "key": key = try reader.readStringIfPresent()
          case "deleted": isDeleted = reader.kind == .bool ? try reader.readBool() : false
          case "value":
            string = nil
            if reader.kind == .string {
              let start = reader.offset
              string = try reader.readString()
              value = start..<reader.offset
            } else {
              value = try reader.skip()
            }
          default: break
          }
        }
      }
    } catch {
      throw ValidationError("of a JSON object, \(error).")
    }
    guard let key else { throw ValidationError("it is no JSON object with a \"key\".") }
    if isDeleted { return .delete(key) }
    guard let value else { throw ValidationError("the object has no \"value\".") }
    let compact = try JSONText.compact(Array(bytes[value]))
    if compact == "null" { return .put(key, nil) }
    if values.encoding == .json { return .put(key, Array(compact.utf8)) }
    guard let string else { throw ValidationError("the value is no string.") }
    if values.encoding == .utf8 { return .put(key, Array(string.utf8)) }
    guard let data = Data(base64Encoded: string) else {
      throw ValidationError("the value is no base64.")
    }
    return .put(key, Array(data))
  }
}
