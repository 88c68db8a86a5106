internal import ArgumentParser
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
      Ends when everything is here that the peers have. Run again it goes on where it was, and fetches \
      what was added since.
      """)

  @OptionGroup var place: FeedPlace

  @Argument(help: "The feed's key in hex, or a dat:// link.")
  var key: String

  @Option(help: ArgumentHelp("A peer that has the feed.", valueName: "host:port"))
  var connect: [String]

  @Option(
    help: ArgumentHelp("Give up when nothing came for so long.", valueName: "seconds"))
  var timeout: Double = 30

  func validate() throws {
    guard timeout > 0, timeout.isFinite, timeout < 1e9 else {
      throw ValidationError("--timeout takes a number of seconds above 0.")
    }
  }

  func run() async throws {
    try await place.run { output in
      let key = try RoomKey.parse(key)
      let addresses = try connect.map { try PeerAddress(parsing: $0) }
      let feed = try await place.open(.readWrite, Feed.Options(key: key))
      let clock = ContinuousClock()
      let start = clock.now
      let peers = ClonePeers(feed: feed, addresses: addresses)
      do {
        try await fetch(feed, peers, clock)
      } catch {
        await peers.stop()
        try? await feed.close()
        throw error
      }
      await peers.stop()
      try await tell(feed, output, clock.now - start)
      try await feed.close()
    }
  }

  /// Returns when all is here.
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
      if now != last { (last, lastChange) = (now, clock.now) }
      progress.show(now, at: clock.now)
      if let reason = await peers.failure {
        throw now.length == 0 ? reason : CloneFailure(reason: "\(reason)", progress: now)
      }
      if clock.now - lastChange > .seconds(timeout) {
        throw CloneFailure(reason: "Nothing came for \(Int(timeout)) seconds.", progress: now)
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  private func tell(_ feed: Feed, _ output: Output, _ duration: Duration) async throws {
    let (length, bytes) = (await feed.length, await feed.byteLength)
    let fetched = await feed.statistics.totals
    if output.json {
      output.object([
        "key": .optional(feed.key?.hex), "length": .integer(Int64(length)),
        "byteLength": .integer(Int64(bytes)),
        "fetchedBlocks": .integer(Int64(fetched.downloadedBlocks)),
        "fetchedBytes": .integer(Int64(fetched.downloadedBytes)),
      ])
    } else {
      output.line(
        "\(Amount.count(length, "block")), \(Amount.bytes(bytes)); fetched "
          + "\(Amount.count(fetched.downloadedBlocks, "block")) in \(Amount.time(duration))")
    }
  }
}

/// The connections of a clone: one to each address, once.
private actor ClonePeers {
  private let feed: Feed
  private let addresses: [PeerAddress]
  private var tasks: [Task<Void, Never>] = []
  private var failures: [any Error] = []

  init(feed: Feed, addresses: [PeerAddress]) {
    self.feed = feed
    self.addresses = addresses
  }

  func start() {
    tasks = addresses.map { address in
      Task { [feed] in
        do {
          let socket = try await TCPDialer.connect(to: address)
          defer { socket.close() }
          try await FeedConnection.carry(feed, over: socket)
          add(CloneFailure(reason: "The connection with \(address) ended.", progress: nil))
        } catch {
          add(error)
        }
      }
    }
  }

  func stop() async {
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }

  private func add(_ failure: any Error) { failures.append(failure) }

  /// Why there is no connection any more; nil while there is one.
  var failure: (any Error)? { failures.count == addresses.count ? failures.first : nil }
}

/// A clone that is not complete.
private struct CloneFailure: Error, CustomStringConvertible {
  let reason: String
  let progress: CloneProgress?

  var description: String {
    guard let progress, progress.length > 0 else { return reason }
    return
      "\(reason.hasSuffix(".") ? String(reason.dropLast()) : reason), with \(progress.blocks) of "
      + "\(progress.length) blocks here; run the command again to go on."
  }
}
