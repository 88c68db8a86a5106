package import HypercoreCrypto
package import HypercoreProtocol

/// Options for replicating a feed or a database over one connection. Each stands for the option of hypercore
/// `replicate(options)` of about that name.
public struct ReplicationOptions: Sendable {
  /// True to stay connected after everything is exchanged, for what is appended later.
  public var live = false
  /// True to fetch blocks; nil for the default: readers fetch, writers don't.
  public var download: Bool?
  /// True to answer requests; if false, the other side learns that nothing can be had here.
  public var upload = true
  /// True to encrypt the connection with the feed's key. Both sides must agree.
  public var encrypt = true
  /// The name of this side in the handshake; nil for a random one that the feed keeps.
  public var id: [UInt8]?
  /// Bytes for the application on the other side, at most 64 KiB.
  public var userData: [UInt8]?
  /// The names of the extensions that are spoken here: at most 63 with ``proves``, otherwise 64.
  public var extensions: [String] = []
  /// Announces that acknowledgements are wanted, and does nothing else, as in the reference.
  public var ack = false
  /// The time without output after which a keep-alive is sent. If the other side is silent for one and a half
  /// times as long, the connection is closed. Nil turns both off.
  public var timeout: Duration? = .seconds(5)

  /// True to speak the extension by which peers of this project prove which connections are their own, and
  /// which keys they hold. A peer of the reference sees no more of it than its name in the handshake.
  public var proves = false
  /// The key pair that this side proves to hold; nil for none.
  package var identity: KeyPair?

  /// Creates the default options: a session that ends when both sides have everything.
  public init() {}

  /// Options for a connection that stays open.
  public static var live: ReplicationOptions {
    var options = ReplicationOptions()
    options.live = true
    options.proves = true
    return options
  }

  package func connectionOptions(defaultID: [UInt8]) -> Connection.Options {
    var connection = Connection.Options(id: id ?? defaultID, nonce: .random())
    connection.isEncrypted = encrypt
    connection.live = live
    connection.userData = userData
    connection.extensions = extensions + (proves ? [PeerProof.extensionName] : [])
    // If the application uses all slots itself, peers are not notified of forks.
    if connection.extensions.count < 64 { connection.extensions.append(ForkEvidence.extensionName) }
    connection.ack = ack
    connection.timeout = timeout
    if let timeout { connection.keepAliveLead = min(timeout / 5, .seconds(1)) }
    return connection
  }
}

/// Returns `count` bytes from the system's generator.
package func randomBytes(_ count: Int) -> [UInt8] {
  var generator = SystemRandomNumberGenerator()
  return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}

extension Feed {
  /// Starts replicating with one peer.
  ///
  /// - Returns: the connection, which a transport drives. Both sides must have opened the same feed.
  ///
  /// Stands for hypercore `replicate(options)`. If it is not live, it ends by itself when both sides have
  /// everything that the other has.
  public func replicate(_ options: ReplicationOptions = ReplicationOptions()) async throws
    -> ReplicationStream
  {
    try checkOpen()
    let connection = Connection(
      options: options.connectionOptions(defaultID: ownID), now: .now)
    let session = ReplicationSession(
      connection: connection, expectedFeeds: 1, now: .now, nonces: nonces)
    session.identity = options.identity
    try session.open(
      replicator, download: options.download ?? core.wantsBlocks, upload: options.upload)
    let id = ObjectIdentifier(session)
    sessions[id] = session
    session.hooks.onClose = { [weak self] _ in self?.assumeIsolated { $0.sessions[id] = nil } }
    return await ReplicationStream(OnReplica(session, on: replica))
  }

  /// Downloads a range and returns when all of it is here. A range without an end is downloaded until the
  /// task is cancelled.
  ///
  /// Stands for hypercore `download(range, callback)`.
  public func download(_ range: DownloadRange = DownloadRange(), timeout: Duration? = nil)
    async throws
  {
    try checkOpen()
    let _: Bool = try await waitingForDownload(range, timeout: timeout)
  }

  private func waitingForDownload(_ range: DownloadRange, timeout: Duration?) async throws -> Bool {
    let box = WaitBox()
    let timer = timeout.map { timeout in
      Task { [weak self] in
        try? await Task.sleep(for: timeout)
        if !Task.isCancelled { await self?.undownload(box, .timedOut("the range", timeout)) }
      }
    }
    defer { timer?.cancel() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        box.id = replicator.download(range) { result in
          continuation.resume(with: result.map { true })
        }
        if Task.isCancelled { undownload(box) }
        do { try replicator.flush() } catch { undownload(box, .wrapping(error)) }
      }
    } onCancel: {
      Task { await self.undownload(box) }
    }
  }

  private func undownload(_ box: WaitBox, _ error: FeedError = .downloadCancelled) {
    guard let id = box.id else { return }
    replicator.undownload(id, error)
    try? replicator.flush()
  }

  /// Starts downloading a range and returns at once. Stands for hypercore `download(range)` without a
  /// callback.
  ///
  /// - Returns: a handle to cancel the download with, by ``undownload(_:)``.
  public func startDownload(_ range: DownloadRange = DownloadRange()) async throws -> DownloadHandle
  {
    try checkOpen()
    let id = replicator.download(range)
    try replicator.flush()
    return DownloadHandle(id: id)
  }

  /// Cancels the download of a range. Stands for hypercore `undownload(selection)`.
  public func undownload(_ handle: DownloadHandle) async throws {
    replicator.undownload(handle.id)
    try replicator.flush()
  }

  /// Fails everything that waits for a block of `range`, and cancels downloads inside it. A block that was requested
  /// and is on its way is neither stored nor announced as an event, unless another download covers it or it is asked
  /// for again; its hash is kept. The block of a ``get(_:options:)-(UInt64,_)`` that ends by its timeout or with its
  /// task is stored when it comes.
  ///
  /// Stands for hypercore `cancel(start, end)`.
  public func cancel(_ range: Range<UInt64>) async throws {
    replicator.cancelAll(in: range)
    try replicator.flush()
  }

  /// The amounts exchanged, in total and with each peer that is connected now.
  ///
  /// Stands for hypercore `stats`.
  public var statistics: FeedStatistics {
    FeedStatistics(
      totals: replicator.statistics,
      peers: replicator.peers.map { ($0.publicID, $0.statistics) })
  }

  /// True if this side has every block that a connected peer is known to have, and at least one connected
  /// peer has said what it has. Peers may have more a moment later. Stands for hypercore's event `sync`.
  public var isSynced: Bool { replicator.isSynced }

  /// True if this side has everything that the connected peers have, and at least one has said what that is.
  /// Blocks that none of them has may be missing. hypercore has no such call.
  public var hasAllOfPeers: Bool { replicator.hasAllOfPeers }

  /// The greatest length that a connected peer claims to have: a hint to display, not verified. Stands for
  /// the largest `remoteLength` of hypercore's `peers`.
  public var remoteLength: UInt64 { replicator.peers.map(\.remoteLength).max() ?? 0 }

  /// The peers that replicate this feed now. Stands for hypercore `peers`.
  public var peers: [FeedPeerStatus] {
    replicator.peers.map {
      FeedPeerStatus(
        peer: $0.publicID, remoteLength: $0.remoteLength,
        inFlight: $0.download.requests.activeCount,
        statistics: $0.statistics)
    }
  }
}

/// The state of a feed's replication with one peer, at the moment when it was asked for.
public struct FeedPeerStatus: Hashable, Sendable {
  /// The peer, as events name it.
  public let peer: FeedPeerID
  /// The length that it claims the feed to have there: a hint, not verified. Stands for hypercore
  /// `peer.remoteLength`.
  public let remoteLength: UInt64
  /// The number of requests to it that are not answered yet. Stands for the length of hypercore
  /// `peer.inflightRequests`.
  public let inFlight: Int
  /// The amounts exchanged with it. Stands for hypercore `peer.stats`.
  public let statistics: PeerStatistics
}

/// A range that is being downloaded.
public struct DownloadHandle: Hashable, Sendable {
  let id: UInt64
}

/// The amounts of a feed that were exchanged.
public struct FeedStatistics: Sendable {
  /// Totals since the feed was opened.
  public let totals: PeerStatistics
  /// Amounts with each peer that is connected now.
  public let peers: [(peer: FeedPeerID, statistics: PeerStatistics)]
}
