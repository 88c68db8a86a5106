internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// `dat feed clone`: all of a feed, from peers.
struct FeedCloneCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clone", abstract: "Fetch all of a feed from peers.",
    discussion: """
      Ends when everything that the connected peers have is here; of a feed with gaps that may be less than \
      all. Run it again to go on where it stopped, and to fetch what was added since.

      EXAMPLES
        dat feed clone ~/copy 4c1f..e9 --connect 192.0.2.7:3282
        dat feed clone ~/copy --key-file key.txt --connect 192.0.2.7:3282
      """)

  @OptionGroup var folder: FeedFolder

  @Argument(help: "The feed's key in hex, a dat:// link, or - for standard input.")
  var key: String?

  @OptionGroup var keyFile: KeyFile
  @OptionGroup var recording: RecordOption

  @Option(help: ArgumentHelp("A peer that has the feed.", valueName: "host:port"))
  var connect: [String]

  @Option(
    help: ArgumentHelp("Give up if nothing comes for this long.", valueName: "seconds"))
  var timeout: Double = 30

  func validate() throws {
    try keyFile.checkAny([key].compactMap(\.self))
    guard timeout > 0, timeout.isFinite, timeout < 1e9 else {
      throw ValidationError("--timeout takes a number of seconds above 0.")
    }
  }

  func run() async throws {
    try await folder.run { output in
      try DescriptorLimit.check(isOnline: true)
      let isNew = try !folder.check(isWriting: true)
      let before = FolderRemains(before: folder.dir)
      guard let key = try await keyFile.read(key).key else { return }
      let addresses = try connect.map { try PeerAddress(parsing: $0) }
      let recorder = try recording.recorder(output)
      let feed = try await folder.open(.readWrite, Feed.Options(key: key))
      let clock = ContinuousClock()
      let start = clock.now
      let peers = ClonePeers(feed: feed, addresses: addresses, recorder: recorder)
      do {
        try await fetch(feed, peers, clock)
      } catch {
        await peers.stop()
        let isEmpty = await feed.length == 0
        try? await feed.close()
        if isNew, isEmpty { before.restore() }
        throw error
      }
      await peers.stop()
      try await printReport(feed, output, clock.now - start)
      try await feed.close()
    }
  }

  /// Returns once all is here.
  private func fetch(_ feed: Feed, _ peers: ClonePeers, _ clock: ContinuousClock) async throws {
    var progress = ProgressBar(start: clock.now)
    defer { progress.clear() }
    var (last, lastChange) = (CloneProgress(), clock.now)
    await peers.start()
    while true {
      let now = CloneProgress(
        blocks: await feed.downloaded(), length: max(await feed.length, await feed.remoteLength),
        bytes: await feed.statistics.totals.downloadedBytes, byteLength: await feed.byteLength)
      if let evidence = await feed.forkEvidence, await feed.isStopped {
        throw FeedError.forked(evidence)
      }
      if await feed.isSynced { return }
      // Blocks that no peer has are not waited for; a peer that is still fetching them gets half a second.
      if now.blocks > 0, clock.now - lastChange > .milliseconds(500), await peers.areAllTried,
        await feed.hasAllOfPeers
      {
        return
      }
      if let pause = await feed.downloadPause {
        throw CloneFailure(reason: "\(pause)", progress: now)
      }
      if now != last { (last, lastChange) = (now, clock.now) }
      progress.show(now, at: clock.now)
      if let reason = await peers.failure {
        throw now.length == 0 ? reason : CloneFailure(reason: "\(reason)", progress: now)
      }
      if clock.now - lastChange > .seconds(timeout) {
        throw CloneFailure(
          reason: "Nothing came for \(Amount.count(UInt64(timeout.rounded(.up)), "second")).",
          progress: now)
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  private func printReport(_ feed: Feed, _ output: Output, _ duration: Duration) async throws {
    let (length, bytes) = (await feed.length, await feed.byteLength)
    let stored = await feed.downloaded()
    let fetched = await feed.statistics.totals
    if output.json {
      output.object([
        "key": .optional(feed.key?.hex), "length": .integer(Int64(length)),
        "byteLength": .integer(Int64(bytes)),
        "fetchedBlocks": .integer(Int64(fetched.downloadedBlocks)),
        "fetchedBytes": .integer(Int64(fetched.downloadedBytes)),
        "storedBlocks": .integer(Int64(stored)),
      ])
    } else {
      if stored < length {
        output.line(
          "\(stored) of \(Amount.count(length, "block")); nobody connected has the others")
      }
      output.line(
        "\(Amount.count(length, "block")), \(Amount.bytes(bytes)); fetched "
          + "\(Amount.count(fetched.downloadedBlocks, "block")) in \(Amount.time(duration))")
      if let first = try? await feed.get(0, options: .init(wait: false)) {
        let kind = FeedKind(firstBlock: first)
        if kind != .feed { output.line("note: this is the first feed of \(kind.name)") }
      }
    }
  }
}

/// The connections of a clone: one to each address, once.
private actor ClonePeers {
  private let feed: Feed
  private let addresses: [PeerAddress]
  private let recorder: Recorder?
  private var tasks: [Task<Void, Never>] = []
  private var failures: [any Error] = []

  init(feed: Feed, addresses: [PeerAddress], recorder: Recorder?) {
    self.feed = feed
    self.recorder = recorder
    self.addresses = addresses
  }

  func start() {
    tasks = addresses.map { address in
      Task { [feed, recorder] in
        do {
          let socket = try await TCPDialer.connect(to: address)
          defer { socket.close() }
          try await FeedConnection.carry(feed, over: socket, recorder)
          add(await end(of: address))
        } catch {
          add(feed.key.map { StoredKey.refusal(by: "\(address)", asked: $0, error) } ?? error)
        }
      }
    }
  }

  /// Explains the end of a connection. A peer that meant another feed may close before this side knows.
  private func end(of address: PeerAddress) async -> CloneFailure {
    guard let key = feed.key, await feed.length == 0 else {
      return CloneFailure(reason: "The connection with \(address) ended.", progress: nil)
    }
    return CloneFailure(
      reason:
        "\(address) ended the connection before anything of \(StoredKey.short(key)) came: compare "
        + "the key with the one on the other side.", progress: nil)
  }

  func stop() async {
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }

  private func add(_ failure: any Error) { failures.append(failure) }

  /// True if each address is connected, or has failed.
  var areAllTried: Bool {
    get async { await feed.peers.count + failures.count >= addresses.count }
  }

  /// The reason why there is no connection any more; nil while there is one.
  var failure: (any Error)? { failures.count == addresses.count ? failures.first : nil }
}

/// The error of an incomplete clone.
private struct CloneFailure: Error, CustomStringConvertible {
  let reason: String
  let progress: CloneProgress?

  var description: String {
    guard let progress, progress.length > 0 else { return reason }
    return
      "\(reason.hasSuffix(".") ? String(reason.dropLast()) : reason), with \(progress.blocks) of "
      + "\(Amount.count(progress.length, "block")) here; run the command again to go on."
  }
}
