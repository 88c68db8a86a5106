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
      values. The output is the same with and without --json.
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "A folder of keys; everything where it is left out.")
  var prefix = ""

  @OptionGroup var values: DbValues

  func run() async throws {
    try await folder.reading { db in
      for try await nodes in db.list(prefix) {
        for node in nodes where !node.isDeleted {
          folder.output.object([
            "key": .string(node.key), "value": try values.encoding.json(node),
          ])
        }
      }
    }
  }
}
