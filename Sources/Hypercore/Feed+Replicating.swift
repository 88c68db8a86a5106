package import HypercoreCrypto
package import HypercoreProtocol

/// How a feed or a database is replicated over one connection. Each stands for the option of hypercore
/// `replicate(options)` of about that name.
public struct ReplicationOptions: Sendable {
  /// Whether to go on when everything is exchanged, for what comes later.
  public var live = false
  /// Whether to fetch blocks; nil for what is usual: a reader does, a writer does not.
  public var download: Bool?
  /// Whether to answer requests; without, the other side is told that nothing is to be had here.
  public var upload = true
  /// Whether the connection is encrypted with the feed's key. Both sides must agree.
  public var encrypt = true
  /// What this side calls itself; nil for a random name that the feed keeps.
  public var id: [UInt8]?
  /// Bytes for the application on the other side, at most 64 KiB.
  public var userData: [UInt8]?
  /// Names of the extensions spoken here, at most 63 with ``proves``, else 64.
  public var extensions: [String] = []
  /// Announces that acknowledgements are wanted, and no more: as in the reference.
  public var ack = false
  /// After how long of silence a keep-alive is sent; at one and a half times that of the other side's
  /// the connection is given up. Nil turns both off.
  public var timeout: Duration? = .seconds(5)

  /// Whether to speak the extension by which peers of this project show which connections are their own,
  /// and which keys they hold. Its name in the handshake is all that a peer of the reference sees of it.
  public var proves = false
  /// The key pair that this side shows to hold; nil for none.
  package var identity: KeyPair?

  /// The defaults: a session that ends when both sides have everything.
  public init() {}

  /// Options for a connection that stays.
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
    // If the program uses all places itself, peers are not notified of forks.
    if connection.extensions.count < 64 { connection.extensions.append(ForkEvidence.extensionName) }
    connection.ack = ack
    connection.timeout = timeout
    return connection
  }
}

/// `count` bytes from the system's generator.
package func randomBytes(_ count: Int) -> [UInt8] {
  var generator = SystemRandomNumberGenerator()
  return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}

extension Feed {
  /// Starts replicating with one peer.
  ///
  /// - Returns: the connection, which a transport drives. Both sides must have opened the same feed.
  ///
  /// Stands for hypercore `replicate(options)`. Not live, it ends by itself when both sides have
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
    session.onClose = { [weak self] _ in self?.assumeIsolated { $0.sessions[id] = nil } }
    return await ReplicationStream(OnReplica(session, on: replica))
  }

  /// Downloads a range and returns when all of it is here. A range without an end is downloaded as
  /// long as the task is not cancelled.
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

  /// Adds a range to what is downloaded and returns at once. Stands for hypercore `download(range)` without a
  /// callback.
  ///
  /// - Returns: what takes it back, ``undownload(_:)``.
  public func startDownload(_ range: DownloadRange = DownloadRange()) async throws -> DownloadHandle
  {
    try checkOpen()
    let id = replicator.download(range)
    try replicator.flush()
    return DownloadHandle(id: id)
  }

  /// Takes a range back. Stands for hypercore `undownload(selection)`.
  public func undownload(_ handle: DownloadHandle) async throws {
    replicator.undownload(handle.id)
    try replicator.flush()
  }

  /// Fails everything that waits for a block of `range`, and takes back downloads inside it.
  ///
  /// Stands for hypercore `cancel(start, end)`.
  public func cancel(_ range: Range<UInt64>) async throws {
    replicator.cancelAll(in: range)
    try replicator.flush()
  }

  /// How much was exchanged, in all and with each peer that is connected now.
  ///
  /// Stands for hypercore `stats`.
  public var statistics: FeedStatistics {
    FeedStatistics(
      totals: replicator.statistics,
      peers: replicator.peers.map { (peerID(of: $0), $0.statistics) })
  }

  /// Whether every block is here that a connected peer is known to have, with at least one connected
  /// that has said what it has. A moment later peers may have more. Stands for what hypercore's event
  /// `sync` tells.
  public var isSynced: Bool { replicator.isSynced }

  /// Whether everything is here that the connected peers have, with at least one that has said what that is. Blocks
  /// that none of them has may be missing. hypercore has no such call.
  public var hasAllOfPeers: Bool { replicator.hasAllOfPeers }

  /// The highest length that a connected peer claims to have: a hint to show, not verified. Stands for the
  /// largest `remoteLength` of hypercore's `peers`.
  public var remoteLength: UInt64 { replicator.peers.map(\.remoteLength).max() ?? 0 }

  /// The peers that speak about this feed now. Stands for hypercore `peers`.
  public var peers: [FeedPeerID] { replicator.peers.map(peerID(of:)) }

  func peerID(of peer: FeedPeer) -> FeedPeerID {
    FeedPeerID(number: peer.number, id: peer.session.connection.remoteHandshake?.id)
  }
}

/// A range that is being downloaded.
public struct DownloadHandle: Hashable, Sendable {
  let id: UInt64
}

/// How much of a feed was exchanged.
public struct FeedStatistics: Sendable {
  /// Since the feed was opened.
  public let totals: PeerStatistics
  /// With the peers that are connected now.
  public let peers: [(peer: FeedPeerID, statistics: PeerStatistics)]
}
