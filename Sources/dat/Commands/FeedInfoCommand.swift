internal import ArgumentParser
internal import DatCoding
internal import Hypercore
internal import HypercoreCrypto

/// `dat feed info`: the properties of a feed, read without a change.
struct FeedInfoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "Show a feed's key, length, roots and signature.",
    discussion: """
      EXAMPLES
        dat feed info ~/log
        dat feed info ~/.dat --prefix metadata. --json
      """)

  @OptionGroup var folder: FeedFolder

  func run() async throws {
    try await folder.run { output in
      let feed = try await folder.view(isQuiet: !folder.json)
      let length = await feed.length
      let isLive = await feed.isLive
      let roots = try await feed.rootHashes()
      let hash = length > 0 ? await feed.treeHash.hex : nil
      let signature = length > 0 && isLive ? try await feed.signature() : nil
      let byteLength = await feed.byteLength
      let evidence = await feed.forkEvidence
      let downloaded = await feed.downloaded()
      let isDamaged = await feed.repairReport.isDamaged
      let isWritable = await feed.isOwned && !isDamaged && evidence == nil
      // The last signature of a feed covers all of it; any other says nothing about what is shown.
      let signed = signature.flatMap { $0.index + 1 == length ? $0.signature.hex : nil }
      if output.json {
        output.object([
          "key": .optional(feed.key?.hex), "discoveryKey": .optional(feed.discoveryKey?.hex),
          "length": .integer(Int64(length)), "byteLength": .integer(Int64(byteLength)),
          "downloaded": .integer(Int64(downloaded)), "writable": .bool(isWritable),
          "live": .bool(isLive), "forked": .bool(evidence != nil),
          "roots": .array(
            roots.map {
              [
                "index": .integer(Int64($0.index)), "hash": .string($0.hash.hex),
                "size": .integer(Int64($0.size)),
              ]
            }),
          "treeHash": .optional(hash), "signature": .optional(signed),
        ])
      } else {
        output.line("\(output.bold("dat://\(feed.key?.hex ?? "")"))")
        output.line("discovery key  \(feed.discoveryKey?.hex ?? "none")")
        output.line("length         \(Amount.count(length, "block")), \(Amount.bytes(byteLength))")
        output.line("stored here    \(Amount.count(downloaded, "block"))")
        output.line("kind           \(isLive ? "live" : "static")\(isWritable ? ", writable" : "")")
        for root in roots {
          output.line("root \(root.index)\t\(root.hash.hex) \(Amount.bytes(root.size))")
        }
        if let hash { output.line("tree hash      \(hash)") }
        if let signed { output.line("signature      \(signed)") }
        if let evidence { output.line("forked: \(FeedError.forked(evidence).reason)") }
        for finding in await feed.repairReport.findings where finding != .forked {
          output.line("note: \(finding)")
        }
      }
      try await feed.close()
    }
  }
}

extension JSON {
  static func optional(_ text: String?) -> JSON { text.map { .string($0) } ?? .null }
}
