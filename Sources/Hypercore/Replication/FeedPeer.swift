internal import DatCoding
internal import HypercoreCrypto
package import HypercoreProtocol

/// One peer of one feed: what it has, what it wants, what was asked of it.
///
/// Lives from when both sides have the feed open until its channel closes. Source: hypercore
/// `lib/replicate.js`.
package final class FeedPeer {
  package typealias Instant = ContinuousClock.Instant

  unowned let replicator: Replicator
  unowned let session: ReplicationSession
  let core: FeedCore
  package let channel: ChannelID
  /// Tells the peers of a feed apart, in the order of their coming.
  package internal(set) var number: UInt64 = 0

  // MARK: What is downloaded from it

  /// The blocks it said it has.
  @exclusivity(unchecked) var remoteBlocks: BlockSet
  /// One more than the highest block it said it has: a hint.
  @exclusivity(unchecked) package internal(set) var remoteLength: UInt64 = 0
  /// Regions that were asked about, and how many of these questions are open.
  var wantedRegions: Set<UInt64> = []
  var openWants = 0
  @exclusivity(unchecked) var requests = RequestTable()
  /// How many requests may be on their way: grows with each answer, halves when one stalls.
  @exclusivity(unchecked) var window = ReplicationLimits.firstRequests
  /// Tree nodes that will be known once everything on its way has arrived.
  @exclusivity(unchecked) var promisedNodes: BlockSet
  /// From the first block on, it has said to have so many.
  @exclusivity(unchecked) var completePrefix: UInt64 = 0
  /// Answers that came before others that they count on, and their requests' numbers.
  @exclusivity(unchecked) var held: [(data: DataMessage, number: UInt64)] = []
  /// When a request was answered last.
  @exclusivity(unchecked) var lastAnswer: Moment
  /// Whether to count on ``promisedNodes``: not with a peer that answers out of order.
  @exclusivity(unchecked) var answersInOrder: Bool
  /// Whether a digest has counted on them, which the remote remembers.
  @exclusivity(unchecked) var hasCountedOnOrder = false
  var offences = 0
  /// The byte offsets that it was asked to seek.
  var soughtBytes: Set<UInt64> = []

  // MARK: What is uploaded to it

  /// Whether it sent a Want, and so is told of new blocks.
  var wantsAnnouncements = false
  @exclusivity(unchecked) var queuedRequests = RequestQueue()
  /// Blocks read in advance, while answers are made.
  @exclusivity(unchecked) var run: BlockRun?
  @exclusivity(unchecked) var queuedWants: [Range<UInt64>] = []
  /// The tree nodes that it has, by the digests of its requests.
  let remoteTree: RemoteTree
  /// Blocks that are new here, to be announced.
  var announcements: [Range<UInt64>] = []

  // MARK: How it ends

  /// Whether blocks are fetched from it.
  @exclusivity(unchecked) package internal(set) var isDownloading: Bool
  var everDownloaded: Bool
  @exclusivity(unchecked) var isUploading: Bool
  var remoteIsDownloading = true
  @exclusivity(unchecked) var isClosed = false
  var sentFinalInfo = false
  @exclusivity(unchecked) var lastActivity: Moment

  /// Whether its history is the one that is here.
  @exclusivity(unchecked) var comparison = PeerComparison()

  @exclusivity(unchecked) package internal(set) var statistics = PeerStatistics()

  init(
    replicator: Replicator, session: ReplicationSession, channel: ChannelID, download: Bool,
    upload: Bool
  ) {
    self.replicator = replicator
    self.session = session
    core = replicator.core
    self.channel = channel
    remoteBlocks = BlockSet(memory: session.memory)
    promisedNodes = BlockSet(memory: session.memory)
    remoteTree = RemoteTree(memory: session.memory)
    answersInOrder = replicator.countsOnOrder
    isDownloading = download
    everDownloaded = download
    isUploading = upload
    lastActivity = session.now
    lastAnswer = session.now
  }

  /// What the remote calls itself.
  package var remoteID: [UInt8]? { session.connection.remoteHandshake?.id }

  /// Sends a message, unless the channel is closed.
  func send(_ message: Message) {
    guard !isClosed else { return }
    let session = session
    do {
      try session.connection.send(message, on: channel)
    } catch {
      // Closed under way, or a block too large for a frame: nothing went out.
      return
    }
    session.hasOutput()
  }

  // MARK: Messages

  func receive(_ message: Message) throws {
    guard !isClosed else { return }
    switch message {
    case .info(_, let downloading): try receiveInfo(downloading: downloading)
    case .have(let start, let length, let bitfield, _):
      try receiveHave(start: start, length: length, bitfield: bitfield)
    case .unhave(let start, let length):
      remoteBlocks.remove(start..<start + min(length, Varint.maximum))
      completePrefix = min(completePrefix, start)
      roots(areMissingAt: start)
    case .want(let start, let length): try receiveWant(start: start, length: length)
    case .unwant(let start, let length):
      queuedWants.removeAll { $0.lowerBound == start && UInt64($0.count) == length }
    case .request(let request): try receiveRequest(request)
    case .cancel(let index, let bytes, let hash):
      queuedRequests.cancel(RequestQueue.Question(index: index, bytes: bytes, hash: hash))
    case .data(let data): try receiveData(data)
    }
  }

  private func receiveInfo(downloading: Bool) throws {
    remoteIsDownloading = downloading
    replicator.needsUpdate()
  }

  private func receiveHave(start: UInt64, length: UInt64, bitfield: [UInt8]?) throws {
    let isFirst = remoteLength == 0
    let before = remoteLength
    if let bitfield {
      guard start.isMultiple(of: ReplicationLimits.wantUnit) else {
        throw FeedError.peer("sent a bitfield that starts at block \(start), no multiple of 8192")
      }
      let runs: BitfieldRLE.Runs
      do {
        runs = try BitfieldRLE.Runs(bitfield, limit: Int(ReplicationLimits.wantLength / 8))
      } catch {
        throw FeedError.peer("sent a bitfield that is no run-length encoding of 2^20 blocks")
      }
      remoteBlocks.replace(from: start, with: runs)
      completePrefix = min(completePrefix, start)
      if length >= ReplicationLimits.wantLength || length == 0 { openWants = max(0, openWants - 1) }
      if let last = remoteBlocks.last(in: start..<start + UInt64(runs.decodedCount) * 8) {
        remoteLength = max(remoteLength, last + 1)
      }
    } else {
      let end = min(start + max(min(length, Varint.maximum), 1), FeedLimits.maximumLength)
      guard start < end else { return }
      remoteBlocks.insert(start..<end)
      remoteLength = max(remoteLength, end)
    }
    for selection in replicator.selections { selection.lowerCursor(of: self, to: start) }
    compareLater(remoteLength)
    if isFirst || remoteLength > before { replicator.remoteUpdated(self) }
    replicator.needsUpdate()
  }

  private func receiveWant(start: UInt64, length: UInt64) throws {
    lastActivity = session.now
    let unit = ReplicationLimits.wantUnit
    guard start.isMultiple(of: unit), length.isMultiple(of: unit) else { return }
    if isUploading, !wantsAnnouncements {
      wantsAnnouncements = true
      // The reference learns the length from this.
      if core.length > 0, core.has(core.length - 1) { send(.have(start: core.length - 1)) }
    }
    let end = start + min(length == 0 ? Varint.maximum : length, Varint.maximum)
    guard !queuedWants.contains(where: { $0.lowerBound == start }) else { return }
    guard queuedWants.count < ReplicationLimits.queuedWants else {
      throw FeedError.peer("asked about more than 64 regions without reading the answers")
    }
    queuedWants.append(start..<end)
    session.hasOutput()
  }

  private func receiveRequest(_ request: Request) throws {
    lastActivity = session.now
    guard isUploading else { return }
    let waiting = queuedRequests.count
    // On all feeds together, which needs no look at each single one.
    guard waiting < ReplicationLimits.queuedRequests,
      !waiting.isMultiple(of: 64)
        || session.queuedRequestCount < ReplicationLimits.queuedRequests
    else { throw FeedError.peer("sent more than 16384 requests without reading the answers") }
    queuedRequests.append(request)
    session.hasOutput()
  }

  // MARK: Time

  /// When something is due here.
  var deadline: Instant? {
    var next: Moment?
    if let oldest = requests.oldest() {
      next = min(
        max(oldest, lastAnswer) + ReplicationLimits.requestTimeout,
        oldest + ReplicationLimits.slowRequestTimeout)
    }
    if let question = comparison.question {
      next = min(next, question.sent + ReplicationLimits.requestTimeout)
    }
    if endsWhenIdle { next = min(next, idleDeadline) }
    return min(min(next, replicator.catchUp.deadline), replicator.pauseEnd)?.instant
  }

  func tick(now: Moment) {
    replicator.catchUp.tick(now: now)
    expireQuestion(now: now)
    replicator.tickPause(now: now)
    // A slow peer that answers one request after the other is not late with the rest.
    let isSilent = now >= lastAnswer + ReplicationLimits.requestTimeout
    let patience =
      isSilent ? ReplicationLimits.requestTimeout : ReplicationLimits.slowRequestTimeout
    let late = requests.stall(sentBy: now - patience)
    if !late.isEmpty {
      if !held.isEmpty {
        session.close(FeedError.unansweredRequest)
        return
      }
      // Its claim to have them is not believed again until it is repeated.
      for index in late {
        remoteBlocks.remove(index)
        completePrefix = min(completePrefix, index)
        replicator.release(index)
      }
      window = max(window / 2, 4)
      stopCountingOnOrder()
      replicator.needsUpdate()
    }
    if endsWhenIdle, now >= idleDeadline { endIdle() }
  }

  /// Fetches nothing more: what is under way is dropped when it comes.
  func dropDownloads() {
    guard isDownloading else { return }
    isDownloading = false
    dropRequests()
    soughtBytes = []
    stopCountingOnOrder()
    send(.info(uploading: isUploading, downloading: false))
  }

  /// Leaves to others what was asked of it, the answers that wait for others with it.
  func dropRequests() {
    for index in requests.removeAll() { replicator.release(index) }
    for (data, _) in held {
      replicator.release(data.index)
      session.memory.give(Self.size(of: data))
    }
    held = []
  }

  func stopCountingOnOrder() {
    answersInOrder = false
    promisedNodes.removeAll()
  }

  // MARK: Announcing

  /// Blocks that are here now, to be announced at the end of the burst.
  func announce(_ range: Range<UInt64>) {
    guard wantsAnnouncements, !remoteBlocks.containsAll(range) else { return }
    if let last = announcements.last, last.upperBound == range.lowerBound {
      announcements[announcements.count - 1] = last.lowerBound..<range.upperBound
    } else {
      announcements.append(range)
    }
  }

  func flushAnnouncements() {
    for range in announcements {
      send(.have(start: range.lowerBound, length: UInt64(range.count)))
    }
    announcements.removeAll(keepingCapacity: true)
  }
}

/// The earlier of two instants, either of which may be missing.
func min<Time: Comparable>(_ one: Time?, _ other: Time?) -> Time? {
  guard let one else { return other }
  guard let other else { return one }
  return one < other ? one : other
}

/// How much one peer sent and got of a feed.
public struct PeerStatistics: Hashable, Sendable {
  /// Blocks that were sent.
  public internal(set) var uploadedBlocks: UInt64 = 0
  /// Bytes of the blocks that were sent, without their proofs.
  public internal(set) var uploadedBytes: UInt64 = 0
  /// Blocks that came and were verified.
  public internal(set) var downloadedBlocks: UInt64 = 0
  /// Bytes of the blocks that came and were verified, without their proofs.
  public internal(set) var downloadedBytes: UInt64 = 0

  mutating func countDownload(_ size: Int) {
    downloadedBlocks += 1
    downloadedBytes += UInt64(size)
  }
}
