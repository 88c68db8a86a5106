internal import ArgumentParser
internal import Hypercore
internal import RandomAccessStorage

/// `dat feed`: one feed in a folder, alone.
struct FeedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "feed",
    abstract: "Look into feeds, write them, and exchange them with peers.",
    discussion: """
      A feed is a folder that holds key, tree, data, bitfield and signatures. Looking into one changes \
      nothing, and needs no other program to be ended first.

      EXAMPLES
        seq 5 | dat feed append ~/numbers
        dat feed cat ~/numbers
        dat feed serve ~/numbers --listen 0.0.0.0:3282
        dat feed clone ~/copy 4c1f…e9 --connect 192.0.2.7:3282
      """,
    subcommands: [
      FeedInfoCommand.self, FeedCatCommand.self, FeedAppendCommand.self, FeedServeCommand.self,
      FeedCloneCommand.self, FeedAuditCommand.self,
    ])
}

/// Where a command finds its feed, and who reads what it prints.
struct FeedPlace: ParsableArguments {
  @Argument(help: "The folder of the feed.", completion: .directory)
  var dir: String

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "What the names of its files start with, such as metadata. in an old .dat folder.",
      valueName: "text"))
  var prefix = ""

  var output: Output { Output(json: json) }

  /// Opens the feed to look at it.
  func view() async throws -> Feed {
    try await open(.readOnly, Feed.Options())
  }

  /// Opens the feed.
  func open(_ access: StorageAccess, _ options: Feed.Options) async throws -> Feed {
    var options = options
    options.prefix = prefix
    do {
      return try await Feed.open(folder: dir, access: access, options: options)
    } catch let error as FeedError where error.code == .noFeedStored {
      throw FeedError(code: .noFeedStored, reason: "No feed is stored in \(dir).")
    }
  }

  /// Runs a command: what it throws is told in a sentence, and ends the process with 1.
  func run(_ body: (Output) async throws -> Void) async throws {
    Interruption.ignoreBrokenPipes()
    do {
      try await body(output)
    } catch let exit as ExitCode {
      throw exit
    } catch {
      output.failure(Problem.sentence(for: error))
      throw ExitCode(1)
    }
  }
}

/// Amounts as people read them.
enum Amount {
  /// Such as `1 block`.
  static func count(_ count: UInt64, _ noun: String) -> String {
    if count == 1 { return "1 \(noun)" }
    return noun.hasSuffix("y") ? "\(count) \(noun.dropLast())ies" : "\(count) \(noun)s"
  }

  /// Such as `12.3 MB`.
  static func bytes(_ count: UInt64) -> String {
    if count < 1000 { return "\(count) B" }
    var value = Double(count)
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
      value /= 1000
      if value < 999.95 || unit == "PB" {
        return "\((value * 10).rounded() / 10) \(unit)"
      }
    }
    return "\(count) B"
  }

  /// Such as `1:02:03` or `0:07`.
  static func time(_ duration: Duration) -> String {
    let seconds = max(duration.components.seconds, 0)
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
  }
}
