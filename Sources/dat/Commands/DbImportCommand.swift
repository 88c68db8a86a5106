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

  @Argument(help: "The file; standard input where it is left out.", completion: .file())
  var file: String?

  @OptionGroup var values: DbValues

  @OptionGroup var newness: DbNewness

  func run() async throws {
    try await folder.writing(creates: true, isNew: newness.isNew) { db in
      let writer = db.writer()
      var number = 0
      var count = 0
      for try await line in try StandardInput.lines(ofFile: file) {
        number += 1
        if line.allSatisfy(\.isWhitespace) { continue }
        let change: HyperDB.BatchChange
        do { change = try self.change(line) } catch {
          try await writer.finish()
          throw ValidationError("Line \(number): \(Problem.sentence(for: error))")
        }
        try await writer.write(change)
        count += 1
      }
      try await writer.finish()
      if folder.json {
        folder.output.object(["imported": .integer(Int64(count))])
      } else {
        folder.output.line("\(count) keys written")
      }
    }
  }

  private func change(_ line: String) throws -> HyperDB.BatchChange {
    guard let fields = JSONFields(line), let keyText = fields["key"],
      let key = try? JSONDecoder().decode(String.self, from: Data(keyText.utf8))
    else {
      throw ValidationError("it is no JSON object with a \"key\".")
    }
    if fields["deleted"] == "true" { return .delete(key) }
    guard let value = fields["value"] else {
      throw ValidationError("the object has no \"value\".")
    }
    switch values.encoding {
    case .json: return .put(key, value == "null" ? nil : Array(value.utf8))
    case .utf8, .binary:
      if value == "null" { return .put(key, nil) }
      guard let text = try? JSONDecoder().decode(String.self, from: Data(value.utf8)) else {
        throw ValidationError("the value is no string.")
      }
      if values.encoding == .utf8 { return .put(key, Array(text.utf8)) }
      guard let data = Data(base64Encoded: text) else {
        throw ValidationError("the value is no base64.")
      }
      return .put(key, Array(data))
    }
  }
}
