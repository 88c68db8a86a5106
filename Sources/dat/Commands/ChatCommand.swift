internal import ArgumentParser
internal import DatSwarm
internal import DatWeb
internal import HyperDB
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

/// `dat chat`: a room, in a terminal or driven by a program.
struct ChatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chat",
    abstract: "Open a chat room and stay in sync with its peers.",
    discussion: """
      Without KEY the room in DIR is opened, or a new one is made, and the key to share is printed. \
      With KEY the room is joined. A line typed is a message sent.

      Peers on the local network find each other by the key alone, and so do peers that name the same \
      server with --rendezvous. With --listen or --connect nothing is searched for unless asked.

      EXAMPLES
        dat chat ~/room --name ana
        dat chat ~/copy 4c1f…e9 --name bea
        dat chat ~/room --name ana --rendezvous rendezvous.example.org:5300
        dat chat ~/room --name ana --listen 0.0.0.0:3282
        dat chat ~/copy 4c1f…e9 --name bea --connect 192.0.2.7:3282
        echo "hello" | dat chat ~/room --name ana --connect 192.0.2.7:3282
        dat chat ~/room --name ana --listen 0.0.0.0:3282 --authorize ask --web

      At a terminal the line is edited with the keys of emacs, Tab completes commands and names, and \
      /help lists the commands. In a pipe the output is plain lines. With --json every event is one JSON object a line, and lines of standard input are messages. \
      With --web the room is shown on a page for the browser on this machine; its address is printed, \
      and whoever has that address can read and write as you.
      """)

  @Argument(help: "The folder of the room.", completion: .directory)
  var dir: String

  @Argument(help: "The room to join: its key in hex, or a dat:// link.")
  var key: String?

  @Option(help: "The name that others see.")
  var name: String

  @Option(
    help: ArgumentHelp("Accept peers here; port 0 takes any free one.", valueName: "host:port"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp("Stay connected to this peer; retried for ever.", valueName: "host:port"))
  var connect: [String] = []

  @OptionGroup(title: "Finding peers") var discovery: DiscoveryOptions

  @Option(
    defaultAsFlag: WebPlace(),
    help: ArgumentHelp(
      "Show the room in the browser, served on loopback unless another address is given; port 0 "
        + "takes any free one.", valueName: "[host:]port"))
  var web: WebPlace?

  @OptionGroup var manners: RoomManners

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @Flag(help: "Keep nothing on disk; DIR is not used.")
  var memory = false

  @Flag(
    name: .customLong("new"), help: "Nothing was ever written with the key in DIR: write at once.")
  var isNew = false

  @Flag(help: "Stay in the room when standard input ends.")
  var stay = false

  @Option(
    help: ArgumentHelp(
      "How long to wait for a peer to take what was written, when standard input has ended.",
      valueName: "seconds"))
  var linger: Double = 10

  func validate() throws {
    try web?.validate()
    if name.utf8.count > 200 { throw ValidationError("A name can have 200 bytes at most.") }
    guard linger >= 0, linger.isFinite else {
      throw ValidationError("--linger takes a number of seconds, 0 or more.")
    }
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      let key = try self.key.map(RoomKey.parse)
      let listen = try self.listen.map { try ListenAddress(parsing: $0) }
      let connect = try self.connect.map { try PeerAddress(parsing: $0) }
      let storage: any StorageProvider = memory ? MemoryStorage() : FolderStorage(path: dir)
      var options = manners.options
      options.database.isNew = isNew
      if !memory { options.muted = RoomNotes(folder: dir).mutedKeys }
      let saga = try await Saga.open(storage: storage, key: key, username: name, options: options)
      let sources = try discovery.sources(
        hasAddresses: !listen.isEmpty || !connect.isEmpty, folder: memory ? nil : dir,
        mayAsk: !json)
      let page = try web.map {
        let room = SagaRoom(saga, asks: manners.authorize == .ask)
        return try ChatPage(SingleRoom(RoomView(room, patience: manners.patienceTime)), at: $0)
      }
      let session = ChatSession(
        saga: saga, output: output, stay: stay, linger: .seconds(linger),
        patience: manners.patienceTime,
        mayMeet: !listen.isEmpty || !connect.isEmpty || !sources.isEmpty, page: page,
        notesFolder: memory ? nil : dir)
      try await session.run(
        listen: listen, connect: connect, sources: sources, verbose: discovery.verbose)
    } catch {
      output.problem(Problem.sentence(for: error))
      throw ExitCode(1)
    }
  }
}

/// The key of a room as people pass it on.
enum RoomKey {
  /// Takes 64 hex digits, with or without `dat://` before them.
  static func parse(_ text: String) throws -> PublicKey {
    var digits = text[...]
    if digits.hasPrefix("dat://") { digits = digits.dropFirst(6) }
    if digits.hasSuffix("/") { digits = digits.dropLast() }
    guard let key = PublicKey(hex: digits) else {
      throw ValidationError(
        "\"\(SafeText.line(text, limit: 80))\" is no key: a key is 64 hex digits; this has \(digits.count) characters."
      )
    }
    return key
  }
}

/// Where to listen: like a peer's address, and port 0 for any that is free.
struct ListenAddress {
  let host: String
  let port: Int

  init(parsing text: String) throws {
    if let colon = text.lastIndex(of: ":"), text[text.index(after: colon)...] == "0" {
      let address = try PeerAddress(parsing: text[..<colon] + ":1")
      (host, port) = (address.host, 0)
    } else {
      let address = try PeerAddress(parsing: text)
      (host, port) = (address.host, address.port)
    }
  }
}

/// Failures in words.
enum Problem {
  static func sentence(for error: any Error) -> String {
    if let error = error as? ValidationError { return error.message }
    return "\(error)"
  }
}
