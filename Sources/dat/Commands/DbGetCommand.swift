internal import ArgumentParser
internal import HyperDB

/// `dat db get`.
struct DbGetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Show the values of a key: several if writers are in conflict.",
    discussion: """
      With --json an array of nodes is printed, an empty one where there is no value.

      EXAMPLES
        dat db get ~/people ana/city
        dat db get ~/people ana/photo --encoding binary
        dat db get ~/people ana/city --json
      """)

  @OptionGroup var folder: DbFolder

  @OptionGroup var key: DbKey

  @OptionGroup var values: DbValues
  @OptionGroup var raw: DbRaw

  @Flag(help: "Show deletes, too.")
  var deleted = false

  @Flag(help: "Show the nearest nodes under the key instead, one for each writer.")
  var prefix = false

  func run() async throws {
    try await folder.reading { db in
      let options = HyperDB.ReadOptions(deletes: deleted, raw: raw.raw)
      let nodes =
        prefix
        ? try await db.get(prefix: key.key, options: options)
        : try await db.get(key.bytes, options: options)
      DatabaseOutput(folder.output, values.encoding).print(nodes, withKey: prefix)
    }
  }
}
