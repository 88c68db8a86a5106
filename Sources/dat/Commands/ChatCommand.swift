internal import ArgumentParser
internal import DatSwarm
internal import DatWeb
internal import HyperDB
internal import Hypercore
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
      server with --rendezvous. With --signal a room is shared with the workshop's page in browsers. With --listen or --connect nothing is searched for unless asked.

      EXAMPLES
        dat chat ~/room
        dat chat ~/room --name ana
        dat chat ~/copy 4c1f..e9 --name bea
        dat chat ~/copy --key-file key.txt --name bea
        dat chat ~/room --name ana --rendezvous rendezvous.example.org:5300
        dat chat ~/room --name ana --signal wss://hub.example.org
        dat chat ~/room --name ana --listen 0.0.0.0:3282
        dat chat ~/copy 4c1f..e9 --name bea --connect 192.0.2.7:3282
        echo "hello" | dat chat ~/room --name ana --connect 192.0.2.7:3282
        dat chat ~/room --name ana --listen 0.0.0.0:3282 --authorize ask --web

      At a terminal the line is edited with the keys of emacs, Tab completes commands and names, and \
      /help lists the commands. In a pipe the output is plain lines. With --json every event is one JSON object a line, and lines of standard input are messages. \
      With --web the room is shown on a page for the browser on this machine; its address is printed, \
      and whoever has that address can read and write as you.
      """)

  @Argument(help: "The folder of the room.", completion: .directory)
  var dir: String

  @Argument(help: "The room to join: its key in hex, a dat:// link, or - for standard input.")
  var key: String?

  @OptionGroup var keyFile: KeyFile

  @Option(
    help:
      "The name that others see. Without it the one that this room knows, or the one in the settings, for which a terminal asks once."
  )
  var name: String?

  @Option(
    help: ArgumentHelp("Accept peers here; port 0 takes any free one.", valueName: "host:port"))
  var listen: [String] = []

  @Option(
    help: ArgumentHelp("Stay connected to this peer; retried for ever.", valueName: "host:port"))
  var connect: [String] = []

  @OptionGroup(title: "Finding peers") var discovery: DiscoveryOptions

  @OptionGroup(title: "Peers in browsers") var hubs: HubOptions

  @OptionGroup var pageLink: PageLinkOption

  @OptionGroup(title: "Connections of others") var limits: ConnectionLimits

  @OptionGroup var recording: RecordOption

  @Option(
    defaultAsFlag: PageEndpoint(),
    help: ArgumentHelp(
      "Show the room in the browser, served on loopback unless another address is given; port 0 "
        + "takes any free one.", valueName: "[host:]port"))
  var web: PageEndpoint?

  @OptionGroup var manners: RoomManners

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @Flag(help: "Keep nothing on disk; DIR is not used.")
  var memory = false

  @Flag(
    name: .customLong("new"), help: "Nothing was ever written with the key in DIR: write at once.")
  var isNewKey = false

  @Flag(help: "Stay in the room when standard input ends.")
  var stay = false

  @Option(
    help: ArgumentHelp(
      "How long to wait for a peer to take what was written, when standard input has ended.",
      valueName: "seconds"))
  var linger: Double = 10

  func validate() throws {
    try FolderLook.checkName(dir, example: "dat chat FOLDER KEY --name NAME joins a room.")
    try web?.validate()
    if let name { try UserName.check(name) }
    guard linger >= 0, linger.isFinite else {
      throw ValidationError("--linger takes a number of seconds, 0 or more.")
    }
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      let name = try OwnName.find(name, in: memory ? nil : dir, mayAsk: !json)
      // First, so that nothing is made if it can't be recorded.
      let recorder = try recording.recorder(output)
      var swarmOptions = limits.swarmOptions()
      swarmOptions.tap = recorder?.swarmTap
      let before = FolderRemains(before: dir)
      let isNew = try memory || !FolderLook(dir).check(for: .database)
      let given = try await keyFile.read(key)
      let lines = try given.rest ?? lines()
      let listen = try self.listen.map { try ListenAddress(parsing: $0) }
      let connect = try self.connect.map { try PeerAddress(parsing: $0) }
      do {
        if !isNew, try await !RoomFolder.isRoom(dir) {
          throw ValidationError(
            "\(SafeText.line(dir)) holds a database without messages, no room; dat db list "
              + "\(SafeText.line(dir)) shows it.")
        }
        let (refusals, refused) = AsyncStream.makeStream(of: HyperDBError.self)
        let saga = try await open(given.key, as: name) { refused.yield($0) }
        for (feed, report) in await saga.db.repairReports {
          output.findings(report, of: feed.hex)
        }
        if !memory, isNew { note(name, output) }
        let sources = try discovery.sources(
          hasAddresses: !listen.isEmpty || !connect.isEmpty, folder: memory ? nil : dir,
          mayAsk: !json)
        let transports = try await hubs.transports(listen: listen)
        let page = try web.map {
          let room = SagaRoom(saga, asks: manners.authorize == .ask)
          return try ChatPage(
            SingleRoom(RoomView(room, patience: manners.patienceTime)), at: $0,
            pageURL: pageLink.pageURL)
        }
        let session = ChatSession(
          saga: saga, output: output, page: page,
          options: ChatSession.Options(
            stay: stay, linger: .seconds(linger), patience: manners.patienceTime,
            mayMeet: !listen.isEmpty || !connect.isEmpty || !sources.isEmpty
              || !transports.isEmpty,
            pageURL: pageLink.pageURL, notesFolder: memory ? nil : dir, lines: lines))
        try await session.run(
          listen: listen, connect: connect, sources: sources, transports: transports,
          options: swarmOptions,
          verbose: discovery.verbose, refusals: refusals)
      } catch {
        // It stopped before any line was accepted, or with an `ExitCode`.
        if isNew, !memory, !(error is ExitCode) { before.restore() }
        throw error
      }
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }

  /// Marks a new room as one by the notes in its folder, before its first message.
  private func note(_ name: String, _ output: Output) {
    var notes = RoomNotes(folder: dir)
    notes.name = name
    do { try notes.write(folder: dir) } catch {
      output.problem("The name can't be noted in the folder: \(Problem.sentence(for: error))")
    }
  }

  private func open(
    _ key: PublicKey?, as name: String, _ onRefusal: @escaping @Sendable (HyperDBError) -> Void
  ) async throws -> Saga {
    let storage: any StorageProvider = memory ? MemoryStorage() : FolderStorage(path: dir)
    var options = manners.options
    if !memory { options.muted = RoomNotes(folder: dir).mutedKeys }
    options.waitsForMessages = false
    options.database.isNew = isNewKey
    let output = Output(json: json)
    options.database.onRefusal = onRefusal
    options.database.onPause = { feed, pause in
      // In the terminal's own place once there is one.
      output.problem(
        "feed \(feed): \(pause.map { "\($0)" } ?? "There is room again: fetching goes on.")")
    }
    do {
      return try await Saga.open(storage: storage, key: key, username: name, options: options)
    } catch let error as FeedError where error.code == .anotherFeedStored {
      guard !memory, EmptyCopy.remove(in: dir) else {
        throw StoredKey.refusal(of: dir, asked: key, error)
      }
      return try await Saga.open(storage: storage, key: key, username: name, options: options)
    }
  }

  /// Returns the piped lines; nil if standard input is closed and nothing is expected of it.
  private func lines() throws -> InputLines? {
    do { return try InputSource().lines } catch {
      guard stay || web != nil else { throw error }
      return nil
    }
  }
}

/// An address to listen on: like a peer's address, and port 0 for any that is free.
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
