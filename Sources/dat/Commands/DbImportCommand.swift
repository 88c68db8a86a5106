internal import ArgumentParser
internal import DatCoding
internal import HyperDB

/// `dat db import`.
struct DbImportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Write keys and values from JSON lines on standard input, or from a file.",
    discussion: """
      Each line is an object with "key" and "value"; "deleted": true deletes the key. With --encoding \
      binary values are base64; so is a key or value with "keyEncoding" or "valueEncoding":"base64" \
      beside it. Numbers stay as they are written. Lines are written in batches; with an error nothing after the last \
      batch is.

      EXAMPLES
        dat db import ~/people people.jsonl
        echo '{"key":"ana/city","value":"Lima"}' | dat db import ~/people
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "The file; standard input if it is left out or -.", completion: .file())
  var file: String?

  @OptionGroup var values: DbValues

  @OptionGroup var newness: DbNewness

  func run() async throws {
    let source: InputSource
    // Before anything is created.
    do { source = try InputSource(path: file) } catch { throw folder.output.ending(with: error) }
    source.invite("Type JSON, an object a line")
    try await folder.writing(creates: true, isNewKey: newness.isNewKey) { db in
      let writer = db.writer()
      var count = 0
      for try await line in source.lines {
        if line.bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) {
          continue
        }
        let change: HyperDB.BatchChange
        do { change = try ImportedLine(try line.text).change(values.encoding) } catch {
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
}
