internal import ArgumentParser
internal import DatHost

/// `dat host status`: the state of a running host, on one screen.
struct HostStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show on one screen how a running host does.",
    discussion: """
      It shows what is held and how complete it is, who is connected, what disk, memory and open files it \
      takes, and what needs attention. `dat host list` shows every key.

      EXAMPLES
        dat host status --dir /var/lib/dat
        dat host status --dir /var/lib/dat --json
        watch -n 5 dat host status --dir /var/lib/dat
      """)

  @OptionGroup var host: RunningHost

  func run() async throws {
    let output = Output(json: host.json)
    do {
      try host.check()
      let report = try await HostClient.report(hostIn: host.dir)
      if output.json {
        output.value(report.json)
      } else {
        for line in HostScreen(report, output).lines { output.line(line) }
      }
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }
}
