internal import ArgumentParser
internal import DatCoding
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// `dat feed append`: lines, or a file, into a feed.
struct FeedAppendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "append", abstract: "Append to a feed, or start one.",
    discussion: """
      Each line of standard input becomes a block, without its end, a line feed or a carriage return \
      and a line feed; lines that arrive together are signed together. With --file the bytes of a file \
      are appended as they are, as one block up to 64 KiB and in blocks of that size beyond.

      EXAMPLES
        date | dat feed append ~/log
        dat feed append ~/photos --file ana.jpg
      """)

  /// As Dat cuts files.
  private static let blockSize = 65_536

  @OptionGroup var place: FeedPlace

  @Option(
    help: ArgumentHelp("Append this file instead of lines.", valueName: "path"),
    completion: .file())
  var file: String?

  @Flag(help: "Have every block on the disk before it counts as appended.")
  var sync = false

  func run() async throws {
    try await place.run { output in
      // Before anything is created.
      let source = try InputSource(path: file)
      try place.check(isWriting: true)
      if file == nil { source.invite("Type lines to append") }
      var options = Feed.Options()
      options.durability = sync ? .synced : .buffered
      let feed = try await place.open(.readWrite, options)
      let start = await feed.length
      do {
        if file == nil {
          try await Self.appendLines(of: source, to: feed)
        } else {
          try await Self.appendBytes(of: source, to: feed)
        }
      } catch {
        let count = await feed.length - start
        try? await feed.close()
        guard count > 0 else { throw error }
        throw ValidationError(
          "\(Problem.sentence(for: error)) Before that \(Amount.count(count, "block")) "
            + "\(count == 1 ? "was" : "were") appended.")
      }
      let (length, bytes) = (await feed.length, await feed.byteLength)
      try await feed.close()
      if output.json {
        output.object([
          "key": .optional(feed.key?.hex), "start": .integer(Int64(start)),
          "count": .integer(Int64(length - start)), "length": .integer(Int64(length)),
          "byteLength": .integer(Int64(bytes)),
        ])
      } else {
        output.line("\(output.bold("dat://\(feed.key?.hex ?? "")"))")
        output.line(
          "appended \(Amount.count(length - start, "block")); the feed has "
            + "\(Amount.count(length, "block")), \(Amount.bytes(bytes))")
      }
    }
  }

  private static func appendLines(of source: InputSource, to feed: Feed) async throws {
    var text = TextLines(limit: InputSource.limit)
    do {
      while let piece = try await source.piece() {
        text.add(piece)
        var lines: [[UInt8]] = []
        while let line = try text.next() { lines.append(line) }
        if !lines.isEmpty { try await feed.append(lines) }
      }
      if let last = try text.last() { try await feed.append(last) }
    } catch is TextLines.LineTooLong {
      throw ValidationError("A line is longer than \(InputSource.limit >> 20) MiB.")
    }
  }

  private static func appendBytes(of source: InputSource, to feed: Feed) async throws {
    var block: [UInt8] = []
    while let piece = try await source.piece(limit: 16 * blockSize) {
      var rest = piece[...]
      var blocks: [[UInt8]] = []
      while block.count + rest.count >= blockSize {
        let part = rest.prefix(blockSize - block.count)
        blocks.append(block + part)
        block = []
        rest = rest.dropFirst(part.count)
      }
      block += rest
      if !blocks.isEmpty { try await feed.append(blocks) }
    }
    if !block.isEmpty { try await feed.append(block) }
  }
}
