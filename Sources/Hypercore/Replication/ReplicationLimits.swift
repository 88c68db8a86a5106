/// Every number that bounds what replication holds or does, in one place, with its reason.
enum ReplicationLimits {
  /// How many blocks that a peer's answer contradicted are remembered, until one proves them.
  static let contradictedBlocks = 16
  /// Questions for a peer's roots that may go without a usable answer on one connection. Each costs it as
  /// much as us: an announcement for a request.
  static let comparisons = 16
  /// A reader asks a peer for its roots again after so many announcements at the latest, if they are of blocks
  /// that others brought: 1.5 KB for each 64 blocks and peer at most.
  static let comparisonInterval = 64
  /// Questions to one peer about where a fork begins: one for each level of the largest tree, and some.
  static let narrowings = 40
  /// Messages with evidence of a fork that are looked at on one channel; each costs two signatures.
  static let evidenceMessages = 8
  /// How many connections end without blame because their answers contradict what is here, in all; each may
  /// be another history whose proof comes with the next one. After that it is the peer's fault.
  static let doubts = 8

  /// How many blocks one Want asks about, as the reference does: a bitfield of 128 KiB.
  static let wantLength: UInt64 = 1 << 20
  /// The unit of wants: start and length are multiples of it, or the reference ignores them.
  static let wantUnit: UInt64 = 8192
  /// The reference accepts Wants of up to 2^32 blocks; so no region beyond is asked about.
  static let wantEnd: UInt64 = 1 << 32
  /// Requests on their way to one peer: at most these many …
  static let requests = 8192
  /// … and at most so many bytes of blocks, as far as their size is known.
  static let requestedBytes = 16 << 20
  /// Requests sent since the oldest that is not answered: beyond it nothing more is asked until that
  /// one is answered or given up, 48 bytes each.
  static let requestSpan = 4 * requests
  /// Requests on their way to a peer of which nothing has been received yet.
  static let firstRequests = 64
  /// Requests of one peer waiting to be answered, 40 bytes each, and 64 more from when it takes one
  /// back; beyond it the peer is out.
  static let queuedRequests = 16_384
  /// Regions of one peer waiting for their Have; each region waits once.
  static let queuedWants = 64
  /// Pages of 8,192 blocks that one Have tells of, besides those that hold none: 8 million blocks, 1 MiB.
  /// What was asked about beyond them comes in the next.
  static let havePages = 1024
  /// How much is encoded ahead of the transport.
  static let outputBytes = 256 << 10
  /// Blocks that are asked for one after the other are read together: so many at most …
  static let runBlocks = 512
  /// … of so many bytes.
  static let runBytes = 64 << 10
  /// Blocks received in one burst are written at the latest when they have so many bytes.
  static let batchBytes = 4 << 20
  /// How long a request may go unanswered, while no other is answered either, before another peer is
  /// asked.
  static let requestTimeout: Duration = .seconds(5)
  /// The same for a peer that does answer others.
  static let slowRequestTimeout: Duration = .seconds(60)
  /// In a session that ends by itself: how long a side that fetches nothing waits for the other to
  /// want something before it says that it is done.
  static let idleEnd: Duration = .milliseconds(2500)
  /// Offences (blocks nobody asked for) after which a peer is out.
  static let offences = 10_000
  /// What one connection can make us keep about its feeds: bitmaps of what it says it has, the tree
  /// nodes it knows, answers that came too early. With a frame of 8 MiB half received that leaves room
  /// within the 16 MiB that a hostile connection may cost.
  static let connectionBytes = 6 << 20
  /// What all connections together may hold of frames half received; see ``FrameBudget``. Half of the
  /// 64 MiB that they may cost: arrays that grow take up to twice what is in them.
  static let halfReceivedBytes = 32 << 20
  /// So little of an unfinished frame is not counted: 4,096 connections with as much hold 64 MiB.
  static let uncountedBytes = 16 << 10
}
