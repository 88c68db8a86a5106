internal import ArgumentParser

/// `dat host`: rooms, databases and feeds, kept online.
struct HostCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "host",
    abstract: "Keep rooms, databases and feeds stored and online.",
    discussion: """
      People who are never online together get each other's messages through a host, and newcomers \
      who meet nobody else are let in by it. Its keys stay in DIR for the next start, and can be added, \
      removed and listed while it runs.

      EXAMPLES
        dat host /var/lib/dat room:4c1f..e9 feed:77d0..1a
        dat host add --dir /var/lib/dat room:9b30..c2
        dat host list --dir /var/lib/dat
        dat host status --dir /var/lib/dat
        dat host new-fleet-key fleet.key
        dat host /var/lib/dat --fleet hosts.txt --fleet-key fleet.key --self host-2
      """,
    subcommands: [
      HostRunCommand.self, HostAddCommand.self, HostRemoveCommand.self, HostListCommand.self,
      HostStatusCommand.self, HostNewFleetKeyCommand.self,
    ],
    defaultSubcommand: HostRunCommand.self)
}
