/// All limits on the memory and the work of replication, with their reasons.
enum ReplicationLimits {
  /// Blocks remembered because a peer's answer contradicted them, until an answer proves them.
  static let contradictedBlocks = 16
  /// Questions for a peer's roots that may stay without a usable answer on one connection. Each costs the
  /// peer as much as this side: an announcement for a request.
  static let comparisons = 16
  /// The most announcements of blocks that others brought before a reader asks a peer for its roots again: at
  /// most 1.5 KB for each 64 blocks and peer.
  static let comparisonInterval = 64
  /// Questions to one peer about the beginning of a fork: one for each level of the largest tree, and some
  /// more.
  static let narrowings = 40
  /// Messages with evidence of a fork that are checked on one channel; each costs two signature checks.
  static let evidenceMessages = 8
  /// Connections in total that end without blame because their answers contradict what is here; each may be
  /// another history, whose proof comes with the next connection. Beyond that it is the peer's fault.
  static let doubts = 8

  /// The number of blocks that one Want asks about, as in the reference: a bitfield of 128 KiB.
  static let wantLength: UInt64 = 1 << 20
  /// The unit of wants: start and length are multiples of it, or the reference ignores them.
  static let wantUnit: UInt64 = 8192
  /// The end of what is asked about: the reference accepts Wants of up to 2^32 blocks.
  static let wantEnd: UInt64 = 1 << 32
  /// Requests in flight to one peer: at most this many …
  static let requests = 8192
  /// … and at most this many bytes of blocks, as far as their size is known.
  static let requestedBytes = 16 << 20
  /// Requests sent since the oldest unanswered one, 48 bytes each. Beyond that nothing is requested until
  /// that one is answered or given up.
  static let requestSpan = 4 * requests
  /// Requests in flight to a peer from which nothing has been received yet.
  static let firstRequests = 64
  /// Requests of one peer that wait to be answered, 40 bytes each, and 64 bytes more once it cancels one.
  /// Beyond that the peer is disconnected.
  static let queuedRequests = 16_384
  /// Regions of one peer that wait for their Have; each region waits once.
  static let queuedWants = 64
  /// Pages of 8,192 blocks that one Have covers, not counting empty ones: 8 million blocks, 1 MiB. The rest
  /// of the question is answered by the next.
  static let havePages = 1024
  /// The bytes that are encoded ahead of the transport.
  static let outputBytes = 256 << 10
  /// The most blocks that are read together when they are requested one after another …
  static let runBlocks = 512
  /// … and their most bytes.
  static let runBytes = 64 << 10
  /// The total size at which the blocks of a burst are written at the latest.
  static let batchBytes = 4 << 20
  /// The time for which a request may go unanswered, if no other is answered either, before another peer is
  /// asked.
  static let requestTimeout: Duration = .seconds(5)
  /// The same for a peer that answers other requests.
  static let slowRequestTimeout: Duration = .seconds(60)
  /// The time for which a side that fetches nothing waits for the other's requests before it says that it is
  /// done, in a session that ends by itself.
  static let idleEnd: Duration = .milliseconds(2500)
  /// Offences (blocks that were not requested) after which a peer is disconnected.
  static let offences = 10_000
  /// The memory that one connection can make this side keep about its feeds: bitmaps of the blocks it claims,
  /// the tree nodes it has, answers that arrived too early. With an incomplete frame of 8 MiB that leaves
  /// room within the 16 MiB that a hostile connection may cost.
  static let connectionBytes = 6 << 20
  /// The memory that all connections together may hold in incomplete frames; see ``FrameBudget``. Half of the
  /// 64 MiB that they may cost, as growing arrays take up to twice their content.
  static let halfReceivedBytes = 32 << 20
  /// The size up to which an incomplete frame is not counted: 4,096 connections with as much hold 64 MiB.
  static let uncountedBytes = 16 << 10
}
