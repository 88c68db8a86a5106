internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// `dat feed serve`: a feed for anybody with its key.
struct FeedServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Give a feed to peers that connect, until interrupted.",
    discussion: """
      A feed of somebody else's is completed meanwhile, from peers that have more of it.

      EXAMPLES
        dat feed serve ~/log --listen 0.0.0.0:3282
      """)

  @OptionGroup var folder: FeedFolder

  @Option(
    help: ArgumentHelp("Accept peers here; port 0 takes any free one.", valueName: "host:port"))
  var listen: [String]

  @Option(
    help: ArgumentHelp(
      "Accept at most this many connections at a time, and close the rest.", valueName: "count"))
  var connections = TCPListener.Options().maximumInbound

  @OptionGroup var recording: RecordOption

  func validate() throws {
    guard connections > 0 else { throw ValidationError("--connections takes 1 or more.") }
  }

  func run() async throws {
    try await folder.run { output in
      try DescriptorLimit.check(isOnline: true)
      guard try folder.check(isWriting: false) else { throw folder.missing }
      let addresses = try listen.map { try ListenAddress(parsing: $0) }
      let recorder = try recording.recorder(output)
      var options = Feed.Options()
      options.createIfMissing = false
      let feed = try await folder.openToServe(options)
      // First, so that even an early signal ends it in order.
      let interruptions = Interruption.requests()
      var taking = TCPListener.Options()
      taking.maximumInbound = connections
      var listeners: [TCPListener] = []
      for address in addresses {
        listeners.append(
          try await TCPListener(host: address.host, port: address.port, options: taking))
      }
      await announce(feed, listeners, output)
      if let evidence = await feed.forkEvidence {
        output.failure(FeedError.forked(evidence).reason)
      }
      let serving = listeners.map { listener in
        Task {
          await listener.run { socket in
            do {
              try await FeedConnection.carry(feed, over: socket, recorder)
            } catch is CancellationError {
            } catch {
              output.failure("\(socket.remoteAddress): \(Problem.sentence(for: error))")
            }
          }
        }
      }
      // A fork ends no connection: the peer that passed it on may be honest.
      let watching = Task {
        for await event in feed.events() {
          guard case .fork = event else { continue }
          if let evidence = await feed.forkEvidence {
            output.failure(FeedError.forked(evidence).reason)
          }
        }
      }
      defer { watching.cancel() }
      for await _ in interruptions { break }
      for task in serving { task.cancel() }
      for task in serving { await task.value }
      try await feed.close()
    }
  }

  private func announce(_ feed: Feed, _ listeners: [TCPListener], _ output: Output) async {
    let length = await feed.length
    if output.json {
      output.object([
        "event": "ready", "key": .optional(feed.key?.hex), "length": .integer(Int64(length)),
      ])
    } else {
      output.line(
        "\(output.bold("dat://\(feed.key?.hex ?? "")"))  \(Amount.count(length, "block"))")
    }
    for listener in listeners {
      if output.json {
        output.object([
          "event": "listening", "host": .string(listener.address.host),
          "port": .integer(Int64(listener.address.port)),
        ])
      } else {
        output.line(output.dim("listening on \(listener.address)"))
      }
    }
  }
}

/// One connection that carries one feed.
enum FeedConnection {
  /// Returns when the connection has ended.
  ///
  /// - Throws: the reason, if it failed.
  static func carry(
    _ feed: Feed, over socket: PeerSocket, _ recorder: Recorder?
  ) async throws {
    let stream = try await feed.replicate(.live)
    let greeting = Task {
      if await stream.handshake() != nil { socket.confirm() }
    }
    defer { greeting.cancel() }
    let ended: Result<Void, any Error>
    do {
      if let recorder {
        let tap = recorder.tap(
          socket.remoteAddress, isInbound: socket.isInbound, feed.discoveryKey)
        try await socket.pump(TappedStream(stream, tap))
      } else {
        try await socket.pump(stream)
      }
      ended = .success(())
    } catch {
      ended = .failure(error)
    }
    // The stream's reason for ending says more than that of the socket.
    if let reason = await stream.closeReason { throw reason }
    try ended.get()
  }
}
