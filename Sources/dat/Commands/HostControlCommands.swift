internal import ArgumentParser
internal import DatCoding
internal import DatHost
internal import HypercoreCrypto

/// The options that select a running host.
struct RunningHost: ParsableArguments {
  @Option(help: "The folder of the running host.", completion: .directory)
  var dir = "."

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func validate() throws {
    try FolderLook.checkName(dir, example: "--dir takes the folder of the host.")
  }

  /// Makes sure that the folder is a host's.
  func check() throws {
    guard try FolderLook(dir).check(for: .host) else {
      throw ValidationError(
        "\(SafeText.line(dir)) is no host's folder; --dir names it, and dat host FOLDER makes one.")
    }
  }

  /// Sends requests one after the other, and prints the replies.
  func ask(_ requests: () async throws -> [ControlRequest]) async throws {
    let output = Output(json: json)
    do {
      try check()
      for request in try await requests() {
        for status in try await HostClient.ask(request, hostIn: dir) { Self.show(status, output) }
      }
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }

  private static func show(_ status: HostedStatus, _ output: Output) {
    if output.json {
      output.object([
        "key": .string(status.key.hex), "kind": .string(status.kind.rawValue),
        "state": .string(status.state.rawValue), "feeds": .integer(Int64(status.feeds)),
        "length": .integer(Int64(clamping: status.length)),
        "stored": .integer(Int64(clamping: status.stored)), "writer": .bool(status.isWriter),
        "connections": .integer(Int64(status.connections)), "folder": .string(status.folder),
        "owner": status.owner.map { .string($0) } ?? .null,
        "problem": status.problem.map { .string($0) } ?? .null,
      ])
      return
    }
    output.line(
      "\(output.bold("\(status.kind.rawValue):\(status.key.hex)"))  \(words(for: status))")
  }

  private static func words(for status: HostedStatus) -> String {
    switch status.state {
    case .hosting:
      let peers = Amount.count(UInt64(max(status.connections, 0)), "peer")
      let feeds = Amount.count(UInt64(max(status.feeds, 0)), "feed")
      let blocks = Amount.count(status.length, "block")
      let problem = status.problem.map { "; \(SafeText.line($0))" } ?? ""
      return "\(status.stored) of \(blocks), \(feeds), \(peers)\(problem)"
    case .waiting: return "waiting for a first peer"
    case .queued: return "waiting for its turn: there are more keys than may be open at a time"
    case .elsewhere: return "held by \(SafeText.line(status.owner ?? "another host"))"
    case .failed: return "not open: \(SafeText.line(status.problem ?? "it is being opened"))"
    }
  }
}

/// `dat host add`: more keys for a running host.
struct HostAddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Make a running host hold more keys, from now on.",
    discussion: """
      EXAMPLES
        dat host add --dir /var/lib/dat room:4c1f..e9
        dat host add --dir /var/lib/dat --key-file keys.txt
      """)

  @Argument(
    help:
      "The keys: KEY, room:KEY, db:KEY, feed:KEY or archive:KEY; - reads them from standard input.")
  var keys: [String] = []

  @OptionGroup var keyFile: KeyFile
  @OptionGroup var host: RunningHost

  func validate() throws { try keyFile.checkAny(keys) }

  func run() async throws {
    try await host.ask { try await keyFile.readAll(keys).map { ControlRequest(.add, key: $0) } }
  }
}

/// `dat host remove`: fewer keys for a running host.
struct HostRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Make a running host stop holding keys.",
    discussion: """
      What is stored stays, unless --delete says otherwise.

      EXAMPLES
        dat host remove --dir /var/lib/dat 4c1f..e9
      """)

  @Argument(help: "The keys; - reads them from standard input.")
  var keys: [String] = []

  @OptionGroup var keyFile: KeyFile

  @Flag(
    help: "Delete what is stored, with the host's own feed: in a room it would be a new user.")
  var delete = false

  @OptionGroup var host: RunningHost

  func validate() throws { try keyFile.checkAny(keys) }

  func run() async throws {
    try await host.ask {
      try await keyFile.readAll(keys).map { ControlRequest(.remove, key: $0, deletesData: delete) }
    }
  }
}

/// `dat host list`: the keys of a running host.
struct HostListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Show what a running host holds, and how complete it is.",
    discussion: """
      EXAMPLES
        dat host list --dir /var/lib/dat
        dat host list --dir /var/lib/dat --json
      """)

  @OptionGroup var host: RunningHost

  func run() async throws { try await host.ask { [ControlRequest(.list)] } }
}
