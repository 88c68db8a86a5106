internal import ArgumentParser
internal import HyperDB
internal import HypercoreCrypto

/// `dat db put`.
struct DbPutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "put",
    abstract: "Write a value under a key; a new database is made where DIR has none.",
    discussion: """
      VALUE is JSON unless --encoding says otherwise; without it standard input is the value. A \
      conflict of the key is settled by writing.
      """)

  @OptionGroup var folder: DbFolder

  @Argument(help: "The key.")
  var key: String

  @Argument(help: "The value; standard input where it is left out.")
  var value: String?

  @OptionGroup var values: DbValues

  @Flag(help: "Write only where the key has no value and was never deleted.")
  var ifAbsent = false

  @OptionGroup var newness: DbNewness

  func run() async throws {
    let output = DatabaseOutput(folder.output, values.encoding)
    // A value that can't be stored must not leave a new database behind.
    let bytes: [UInt8]?
    do {
      bytes =
        try value.map { try values.encoding.bytes(of: $0) }
        ?? values.encoding.bytes(of: StandardInput.bytes())
    } catch {
      output.output.failure(Problem.sentence(for: error))
      throw ExitCode(1)
    }
    try await folder.writing(creates: true, isNew: newness.isNew) { db in
      let node =
        ifAbsent ? try await db.put(ifAbsent: key, bytes) : try await db.put(key, bytes)
      if folder.json {
        output.output.value(try node.map(output.json) ?? .null)
      } else if node == nil {
        output.output.line("nothing was written: the key has entries")
      }
      if let node, !node.isFromAuthorizedWriter {
        output.output.failure(
          "This replica is not authorized yet: what was written stays here until the feed "
            + "\(db.localKey.hex) is.")
      }
    }
  }
}
