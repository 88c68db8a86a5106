internal import ArgumentParser
internal import DatCoding
internal import HyperDB
internal import HypercoreCrypto

/// `dat db put`.
struct DbPutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "put",
    abstract: "Write a value under a key; a new database is made if DIR has none.",
    discussion: """
      VALUE is JSON unless --encoding says otherwise; without it standard input is the value. A \
      conflict of the key is settled by writing. A value that begins with a dash goes behind --.

      EXAMPLES
        dat db put ~/people ana/city '"Lima"'
        dat db put ~/people ana/photo --encoding binary < ana.jpg
        dat db put ~/people ana/balance -- -5
      """)

  @OptionGroup var folder: DbFolder

  @OptionGroup var key: DbKey

  @Argument(help: "The value; standard input if it is left out.")
  var value: String?

  @OptionGroup var values: DbValues

  @Flag(help: "Write only if the key has no value and was never deleted.")
  var ifAbsent = false

  @OptionGroup var newness: DbNewness

  func run() async throws {
    let output = DatabaseOutput(folder.output, values.encoding)
    // A value that can't be stored must not leave a new database behind.
    let bytes: [UInt8]?
    let name: [UInt8]
    do {
      name = try key.bytes
      if let value {
        bytes = try values.encoding.bytes(of: value)
      } else {
        let input = try await Self.input()
        guard !input.isEmpty || values.encoding != .json else {
          throw ValidationError(
            "There is no value: write it behind the key, or pipe it into the command.")
        }
        bytes = try values.encoding.bytes(of: input)
      }
    } catch {
      throw output.output.ending(with: error)
    }
    try await folder.writing(creates: true, isNewKey: newness.isNewKey) { db in
      let node =
        ifAbsent ? try await db.put(ifAbsent: name, bytes) : try await db.put(name, bytes)
      if folder.json {
        output.output.value(node.map(output.json) ?? .null)
      } else if node == nil {
        output.output.line("nothing was written: the key has entries")
      }
      if node != nil { await folder.noteIfUnauthorized(db) }
    }
  }

  private static func input() async throws -> [UInt8] {
    let source = try InputSource()
    source.invite("Type the value")
    return try await source.bytes()
  }
}
