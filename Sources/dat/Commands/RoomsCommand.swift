internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import DatWeb
internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// `dat rooms`: the rooms of a folder, as a list or on the page.
struct RoomsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rooms",
    abstract: "List the rooms of a folder, or show them all on a page in the browser.",
    discussion: """
      DIR holds rooms, each in a folder of its own, such as `dat chat DIR/one` makes. With --web they \
      are opened and connected, and the page shows them with their last message and how many are \
      unread; there rooms are made and joined as well. Peers are found as by `dat chat`.

      EXAMPLES
        dat rooms ~/rooms
        dat rooms ~/rooms --web --name ana --listen 0.0.0.0:3282
        dat rooms ~/rooms --json
      """)

  @Argument(help: "The folder of the rooms.", completion: .directory)
  var dir: String

  @Option(
    help:
      "The name that others see, in rooms that you have no name in yet. Without it the one in the settings, or your user's."
  )
  var name: String?

  @Option(
    defaultAsFlag: PageEndpoint(),
    help: ArgumentHelp(
      "Serve the page, on loopback unless another address is given; port 0 takes any free one.",
      valueName: "[host:]port"))
  var web: PageEndpoint?

  @Option(
    help: ArgumentHelp("Accept peers here; port 0 takes any free one.", valueName: "host:port"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp(
      "Look for every room at this peer; retried for ever.", valueName: "host:port"))
  var connect: [String] = []

  @OptionGroup(title: "Finding peers") var discovery: DiscoveryOptions

  @OptionGroup(title: "Peers in browsers") var hubs: HubOptions

  @OptionGroup var pageLink: PageLinkOption

  @OptionGroup(title: "Connections of others") var limits: ConnectionLimits

  @OptionGroup var manners: RoomManners

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func validate() throws {
    try FolderLook.checkName(dir, example: "dat chat FOLDER KEY --name NAME joins a room.")
    try web?.validate()
    if let name { try UserName.check(name) }
    if web == nil, !listen.isEmpty || !connect.isEmpty || !hubs.signal.isEmpty {
      throw ValidationError("--listen, --connect and --signal are for the page: add --web.")
    }
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      if let web { try await serve(at: web, output) } else { try await list(output) }
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }

  private func folder(
    _ swarm: Swarm?, _ peers: [PeerAddress], _ output: Output
  ) throws -> RoomFolder {
    RoomFolder(
      path: dir, username: try name ?? Settings(Settings.file()).name ?? NSUserName(),
      options: manners.options, patience: manners.patienceTime,
      swarm: swarm, peers: peers, complain: { output.problem($0) })
  }

  private func serve(at endpoint: PageEndpoint, _ output: Output) async throws {
    try FileManager.default.createDirectory(atPath: dir, withIntermediateDirectories: true)
    let listen = try self.listen.map { try ListenAddress(parsing: $0) }
    let peers = try connect.map { try PeerAddress(parsing: $0) }
    let sources = try discovery.sources(
      hasAddresses: !listen.isEmpty || !connect.isEmpty, folder: dir, mayAsk: !json)
    let interruptions = Interruption.requests()
    let network = try await OpenSwarm(
      listen: listen, sources: sources, transports: try await hubs.transports(listen: listen),
      options: limits.swarmOptions(), output: output,
      isVerbose: discovery.verbose)
    let rooms = try folder(network.swarm, peers, output)
    try await rooms.openAll()
    let page = try ChatPage(rooms, at: endpoint, pageURL: pageLink.pageURL)
    if let address = try await page.open() { output.announce(address) }
    for await _ in interruptions { break }
    await page.close()
    await rooms.close()
    await network.close()
  }

  private func list(_ output: Output) async throws {
    let look = try FolderLook(dir)
    switch look.content {
    case .missing: throw ValidationError("There is no folder \(SafeText.line(dir)).")
    case .database:
      throw ValidationError(
        "\(SafeText.line(dir)) is a room or database itself; name the folder above it.")
    case .nothing, .rooms: break
    default: throw ValidationError(look.words ?? "")
    }
    let rooms = try folder(nil, [], output)
    try await rooms.openAll()
    let found = await rooms.rooms()
    if found.isEmpty, !output.json {
      output.line(output.dim("no rooms here; dat chat FOLDER/NAME --name YOU makes one"))
    }
    for room in found {
      guard let overview = await room.overview else { continue }
      if output.json {
        output.object([
          "key": .string(overview.key.hex), "name": .optional(overview.maker),
          "messages": .integer(Int64(overview.messages)),
          "unread": .integer(Int64(overview.unread)),
          "last": overview.last.map(Self.json) ?? .null,
        ])
      } else {
        show(overview, output)
      }
    }
    await rooms.close()
  }

  private static func json(_ message: Message) -> JSON {
    [
      "message": .string(message.text), "username": .string(message.username),
      "timestamp": .integer(message.timestamp), "feed": .string(message.feed.hex),
    ]
  }

  private func show(_ room: RoomOverview, _ output: Output) {
    let title = room.maker.map { "\(SafeText.name($0))’s room" } ?? "a room"
    let unread = room.unread > 0 ? "  " + output.bold("\(room.unread) unread") : ""
    output.line("\(output.bold(title))\(unread)")
    output.line("  dat://\(room.key.hex)")
    guard let last = room.last else { return output.line(output.dim("  no messages yet")) }
    let time = Date(
      timeIntervalSince1970: Double(min(max(last.timestamp, 0), 253_402_300_799_000)) / 1000)
    let when = time.formatted(Date.ISO8601FormatStyle(timeZone: .current).year().month().day())
    output.line(
      "  \(output.dim(when)) \(output.name(SafeText.name(last.username), of: last.feed.bytes)): "
        + SafeText.line(last.text, limit: 60))
  }
}
