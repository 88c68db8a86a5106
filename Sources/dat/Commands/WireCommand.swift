internal import ArgumentParser
internal import DatWire

/// `dat wire`: a recorded connection, decoded message by message.
struct WireCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wire",
    abstract: "Decode a recorded connection, message by message.",
    discussion: """
      FILE is what --record wrote, a capture by tcpdump, or the bare bytes that one end sent. The first \
      message of each end is in clear; the rest needs the key of the feed that it names.

      EXAMPLES
        dat wire log.wire --key-file key.txt
        dat feed clone copy KEY --connect 192.0.2.7:3282 --record log.wire
        tcpdump -i any -s 0 -w log.pcap port 3282
        dat wire log.pcap --key-file key.txt --json
      """)

  @Argument(
    help: "The recording; - for standard input.",
    completion: .file())
  var file: String

  @OptionGroup var keyFile: KeyFile

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func validate() throws {
    if file == "-", keyFile.keyFile == "-" {
      throw ValidationError("The recording and the key can't both come from standard input.")
    }
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      let source = try InputSource(path: file)
      let key = try await keyFile.read(nil).key
      var printer = WirePrinter(key: key, output: output)
      var reader = RecordingReader()
      do {
        while let piece = try await source.piece() {
          for part in try Self.parts(piece, &reader) { try printer.print(part) }
        }
        for part in try Self.rest(&reader) { try printer.print(part) }
      } catch let error as RecordingError {
        printer.finish()
        throw error
      }
      printer.finish()
      if printer.faults > 0 {
        throw ValidationError(
          "\(Amount.count(UInt64(printer.faults), "direction")) could not be decoded to the end; the message before "
            + "that is the last good one.")
      }
    } catch {
      throw output.ending(with: error)
    }
  }

  private static func parts(
    _ piece: [UInt8], _ reader: inout RecordingReader
  ) throws -> [RecordedPart] {
    var parts: [RecordedPart] = []
    try reader.add(piece) { parts.append($0) }
    return parts
  }

  private static func rest(_ reader: inout RecordingReader) throws -> [RecordedPart] {
    var parts: [RecordedPart] = []
    try reader.finish { parts.append($0) }
    return parts
  }
}
