internal import ArgumentParser
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// `dat feed append`: lines, or a file, into a feed.
struct FeedAppendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "append", abstract: "Append to a feed, or start one.",
    discussion: """
      Each line of standard input becomes a block, without its line feed; lines that arrive together \
      are signed together. With --file the bytes of a file are appended instead, as one block up to \
      64 KiB and in blocks of that size beyond.
      """)

  /// As Dat cuts files.
  private static let blockSize = 65_536

  @OptionGroup var place: FeedPlace

  @Option(
    help: ArgumentHelp("Append this file instead of lines.", valueName: "path"),
    completion: .file())
  var file: String?

  @Flag(
    name: .customLong("new"), help: "Nothing was ever written with the key in DIR: append at once.")
  var isNew = false

  @Flag(help: "Have every block on the disk before it counts as appended.")
  var sync = false

  func run() async throws {
    try await place.run { output in
      // Before anything is created.
      let source = try file.map(Self.open) ?? .standardInput
      var options = Feed.Options()
      options.durability = sync ? .synced : .buffered
      options.isNew = isNew
      let feed = try await place.open(.readWrite, options)
      let start = await feed.length
      do {
        if file == nil {
          try await Self.appendLines(of: source, to: feed)
        } else {
          try await Self.appendBytes(of: source, to: feed)
        }
      } catch {
        try? await feed.close()
        throw error
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

  private static func open(_ path: String) throws -> FileHandle {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ValidationError("There is no file \(path).")
    }
    guard !isFolder.boolValue, let handle = FileHandle(forReadingAtPath: path) else {
      throw ValidationError("\(path) can't be read: it is a folder, or not yours to read.")
    }
    return handle
  }

  private static func appendLines(of handle: FileHandle, to feed: Feed) async throws {
    var rest: [UInt8] = []
    for await bytes in StandardInput.pieces(of: handle) {
      var lines: [[UInt8]] = []
      var start = bytes.startIndex
      while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
        lines.append(rest + bytes[start..<end])
        rest = []
        start = end + 1
      }
      rest += bytes[start...]
      if !lines.isEmpty { try await feed.append(lines) }
    }
    if !rest.isEmpty { try await feed.append(rest) }
  }

  private static func appendBytes(of handle: FileHandle, to feed: Feed) async throws {
    while true {
      var blocks: [[UInt8]] = []
      while blocks.count < 16, let block = try handle.read(upToCount: blockSize), !block.isEmpty {
        blocks.append(Array(block))
      }
      if blocks.isEmpty { return }
      try await feed.append(blocks)
    }
  }
}
