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
      are appended as they are, as one block up to 64 KiB and in blocks of that size beyond. A block has \
      \(Feed.maximumBlockSize) bytes at most.

      EXAMPLES
        date | dat feed append ~/log
        dat feed append ~/photos --file ana.jpg
      """)

  /// The size of blocks, in which Dat cuts files.
  private static let blockSize = 65_536

  @OptionGroup var folder: FeedFolder

  @Option(
    help: ArgumentHelp("Append this file instead of lines.", valueName: "path"),
    completion: .file())
  var file: String?

  @Flag(
    name: .customLong("new"), help: "Nothing was ever written with the key in DIR: append at once.")
  var isNew = false

  @Flag(help: "Wait until each block is on the disk before it counts as appended.")
  var sync = false

  func run() async throws {
    try await folder.run { output in
      // Before anything is created.
      let source = try InputSource(path: file)
      try folder.check(isWriting: true)
      if file == nil { source.invite("Type lines to append") }
      var options = Feed.Options()
      options.durability = sync ? .synced : .buffered
      options.isNew = isNew
      let feed = try await folder.open(.readWrite, options)
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
        throw AppendFailure(error: error, count: count, unit: file == nil ? "line" : "block")
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
        try await append(lines, to: feed)
      }
      if let last = try text.last() { try await feed.append(last) }
    } catch is TextLines.LineTooLong {
      throw ValidationError("A line is longer than \(InputSource.limit >> 20) MiB.")
    }
  }

  /// Appends lines together; if one is refused, those before it are still appended.
  private static func append(_ lines: [[UInt8]], to feed: Feed) async throws {
    let good = lines.prefix { $0.count <= Feed.maximumBlockSize }
    if !good.isEmpty { try await feed.append(Array(good)) }
    if good.count < lines.count { try await feed.append(lines[good.count]) }
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

/// The error of an append that ended early.
private struct AppendFailure: Error, CustomStringConvertible {
  let error: any Error
  /// The number of blocks that were appended before it.
  let count: UInt64
  let unit: String

  var description: String {
    let reason = Problem.sentence(for: error)
    return count == 0
      ? reason
      : "\(Amount.count(count, unit)) \(count == 1 ? "was" : "were") appended, then: \(reason)"
  }
}
