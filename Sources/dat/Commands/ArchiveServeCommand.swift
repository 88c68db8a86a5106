internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import DatWeb
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive

/// `dat serve`.
struct ArchiveServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Show an archive in a browser, until interrupted.",
    discussion: """
      Listens on this machine alone unless another address is given. Pages of an archive that is not your own run \
      without scripts. ?version=N shows an older version.

      EXAMPLES
        dat serve ~/site
        dat serve dat://4c1f..e9 --http 0
      """)

  @OptionGroup var look: ArchiveLook

  @Option(
    help: ArgumentHelp("Where to listen; port 0 takes any free one.", valueName: "[host:]port"))
  var http = "8080"

  func run() async throws {
    try await look.run { archive, _, reading, output in
      let address = try ListenAddress(parsing: http.contains(":") ? http : "127.0.0.1:\(http)")
      let interruptions = Interruption.requests()
      let server = ArchiveServer(
        archive: archive, isOwn: await archive.secretKey != nil, host: address.host,
        port: address.port, reading: reading)
      let serving = Task {
        try await server.run { url in
          if output.json {
            output.object(["event": "ready", "url": .string(url), "key": .string(archive.key.hex)])
          } else {
            output.line(url)
          }
        }
      }
      let ending = Task {
        for await _ in interruptions { break }
        serving.cancel()
      }
      defer { ending.cancel() }
      do { try await serving.value } catch is CancellationError {
        return
      } catch {
        let endpoint = PeerAddress(host: address.host, port: address.port)
        throw SwarmError("The archive can't be served at \(endpoint)", error)
      }
    }
  }
}
