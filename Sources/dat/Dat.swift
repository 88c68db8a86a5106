internal import ArgumentParser
internal import CMalloc

/// The command `dat`.
@main
struct Dat: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dat",
    abstract: "Feeds, databases and chat rooms in the Dat formats of 2018.",
    discussion: """
      EXAMPLES
        dat chat ~/room --name ana --listen 0.0.0.0:3282
        dat feed append ~/log < lines.txt
        dat db put ~/people ana/city '"Lima"'
        dat help db put

      EXIT STATUS
        0   It did what was asked.
        1   It could not, and says why in a sentence on standard error.
        64  It was called wrongly; the usage is shown.
      """,
    version: "0.1.0",
    subcommands: [
      ChatCommand.self, RoomsCommand.self, FeedCommand.self, DbCommand.self, HostCommand.self,
      DoctorCommand.self, RecoverCommand.self,
      RendezvousCommand.self,
    ])

  /// Blocks and frames have up to 8 MiB. What each thread would keep of them is several times what they
  /// take.
  private static let largePiece: Int32 = 1 << 20

  static func main() async {
    dat_give_back_pieces_of(largePiece)
    await main(nil)
  }
}
