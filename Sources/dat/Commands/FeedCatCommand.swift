internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import Hypercore

/// `dat feed cat`: a feed's blocks.
struct FeedCatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cat", abstract: "Print a feed's blocks.",
    discussion: """
      Each block is a line; with --raw they are printed as they are, one after the other. On a terminal \
      characters that would do something to it are shown instead of sent, without --raw.

      EXAMPLES
        dat feed cat ~/log --start 10 --end 20
        dat feed cat ~/photos --raw > ana.jpg
        dat feed cat ~/log --json
      """)

  @OptionGroup var folder: FeedFolder

  @Option(help: ArgumentHelp("The first block.", valueName: "N"))
  var start: UInt64 = 0

  @Option(help: ArgumentHelp("The block after the last.", valueName: "N"))
  var end: UInt64?

  @Flag(help: "Print the bytes as they are.")
  var raw = false

  func validate() throws {
    if raw, folder.json { throw ValidationError("Choose one of --raw and --json.") }
    if let end, end < start { throw ValidationError("--end comes before --start.") }
  }

  func run() async throws {
    try await folder.run { output in
      let feed = try await folder.view()
      let end = min(end ?? .max, await feed.length)
      let shown = !raw && !folder.json && StandardStreams.isOutputTerminal
      var index = start
      var waiting: [UInt8] = []
      let options = Feed.StreamOptions(start: start, end: max(start, end), get: .init(wait: false))
      do {
        for try await block in feed.blocks(options) {
          waiting += bytes(of: block, index, shown: shown)
          index += 1
          if waiting.count >= 1 << 16 {
            output.bytes(waiting)
            waiting = []
          }
        }
      } catch {
        // The blocks before it are still printed.
        output.bytes(waiting)
        throw error
      }
      output.bytes(waiting)
      try await feed.close()
    }
  }

  private func bytes(of block: [UInt8], _ index: UInt64, shown: Bool) -> [UInt8] {
    if folder.json {
      let line = JSON.object([
        "index": .integer(Int64(index)), "value": .string(Data(block).base64EncodedString()),
      ])
      return Array((line.text + "\n").utf8)
    }
    if raw { return block }
    let isLine = block.last == UInt8(ascii: "\n")
    guard shown else { return isLine ? block : block + [UInt8(ascii: "\n")] }
    let lines = ForeignText(bytes: isLine ? block.dropLast() : block[...]).lines
    return Array((lines.map { $0.line(limit: 4096) }.joined(separator: "\n") + "\n").utf8)
  }
}
