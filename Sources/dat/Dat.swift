internal import ArgumentParser
internal import CMalloc
internal import Foundation

/// The command `dat`.
@main
struct Dat: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dat",
    abstract: "Archives, feeds, databases and chat rooms in the Dat formats of 2018.",
    discussion: """
      Without a command it says what can be done with what is in the folder you are in.

      EXAMPLES
        dat chat ~/room --name ana --listen 0.0.0.0:3282
        dat feed append ~/log < lines.txt
        dat db put ~/people ana/city '"Lima"'
        dat db put ~/people ana/balance -- -5
        dat clone dat://4c1f..e9 ~/site
        dat share ~/site
        dat help db put

      EXIT STATUS
        0    It did what was asked.
        1    It could not, and says why in a sentence on standard error.
        64   It was called wrongly; the usage is shown, or a sentence.
        141  Whoever read its output has gone, as the end of a pipe does (SIGPIPE).
      """,
    version: Version.number,
    subcommands: [
      ChatCommand.self, RoomsCommand.self, FeedCommand.self, DbCommand.self, HostCommand.self,
      DoctorCommand.self, RekeyCommand.self,
      RendezvousCommand.self, SignalCommand.self, WireCommand.self,
      ArchiveListCommand.self, ArchiveCatCommand.self, ArchiveLogCommand.self,
      ArchiveDiffCommand.self, ArchiveFindCommand.self, ArchiveCloneCommand.self,
      ArchivePullCommand.self, ArchiveSyncCommand.self, ArchiveShareCommand.self,
      ArchiveCreateCommand.self, ArchiveStatusCommand.self, ArchiveKeysCommand.self,
      ArchiveCheckoutCommand.self, ArchiveRecoverCommand.self, ArchiveServeCommand.self,
    ])

  /// The size from which freed memory is returned to the system at once. Blocks and frames have up to 8 MiB,
  /// and each thread would keep several times that.
  private static let largePiece: Int32 = 1 << 20

  /// The arguments, with the command that a bare link or folder stands for.
  private static let arguments = BareArguments.written(
    out: Array(CommandLine.arguments.dropFirst()))

  static func main() async {
    // Before any file is opened.
    StandardStreams.secure()
    do { try DescriptorLimit.check() } catch {
      // There are hardly enough to do anything else.
      StandardStreams.complain("dat: \(Problem.sentence(for: error))\n")
      _exit(1)
    }
    dat_give_back_pieces_of(largePiece)
    do {
      try checkArguments()
      var command = try await asyncParseAsRoot(arguments)
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      end(with: error)
    }
    StandardStreams.endIfLost()
  }

  /// Prints the error, or the help that was asked for, and ends the process.
  private static func end(with error: any Error) -> Never {
    let code = exitCode(for: error)
    let text = unknownCommand ?? fullMessage(for: error)
    if !text.isEmpty {
      if code.isSuccess {
        StandardStreams.write(text + "\n")
      } else {
        StandardStreams.complain(text + hint(for: error) + "\n")
      }
    }
    StandardStreams.endIfLost()
    Foundation.exit(code.rawValue)
  }

  /// The sentence for a first word that is not a command; nil if it is one.
  private static var unknownCommand: String? {
    guard let word = arguments.first, !word.hasPrefix("-"),
      word != "help",
      !configuration.subcommands.contains(where: { $0.configuration.commandName == word })
    else { return nil }
    return
      "dat: There is no command \(SafeText.line(word, limit: 40)); dat shows what you can do, and "
      + "dat help all commands."
  }

  /// Returns advice about a value that begins with a dash, which is taken for an option.
  private static func hint(for error: any Error) -> String {
    let words = message(for: error)
    guard words.hasPrefix("Unknown option '-") || words.hasPrefix("Missing value for '-"),
      let value = CommandLine.arguments.dropFirst().first(where: { words.contains("'\($0)'") })
    else { return "" }
    return
      "\n  A value that begins with a dash goes behind --, at the end: -- \(SafeText.line(value))"
  }

  /// Rejects arguments that are not text, which would otherwise be changed silently.
  private static func checkArguments() throws {
    for number in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[number] else { continue }
      guard String(validatingCString: argument) != nil else {
        throw ValidationError("Argument \(number) is not UTF-8; the command takes UTF-8 alone.")
      }
    }
  }

  func run() async throws { Overview(folder: ".").show(Output(json: false)) }
}
