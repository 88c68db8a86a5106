internal import ArgumentParser
internal import DatCoding
internal import HyperDB

/// `dat db export`.
struct DbExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Print keys and values as JSON lines, for `dat db import`.",
    discussion: """
      Each line is an object with "key" and "value". A key in conflict has a line for each of its \
      values. What is not in the encoding is base64, and beside it stands "keyEncoding":"base64" or \
      "valueEncoding":"base64", which import reads. The output is the same with and without --json.

      EXAMPLES
        dat db export ~/people > people.jsonl
        dat db export ~/people ana | dat db import ~/other
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "A folder of keys; everything if it is left out.")
  var prefix = ""

  @OptionGroup var values: DbValues

  func run() async throws {
    try await folder.reading { db in
      for try await nodes in db.list(prefix) {
        for node in nodes where !node.isDeleted {
          folder.output.value(values.encoding.exported(node))
        }
      }
    }
  }
}
