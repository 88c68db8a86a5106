internal import DatCoding
internal import HypercoreCrypto
package import HypercoreProtocol

/// One peer of one feed: the blocks it has, the blocks it wants, and the requests sent to it.
///
/// It lives from the moment when both sides have the feed open until its channel closes. Source:
/// hypercore `lib/replicate.js`.
package final class FeedPeer {
  package typealias Instant = ContinuousClock.Instant

  unowned let replicator: Replicator
  unowned let session: ReplicationSession
  let core: FeedCore
  package let channel: ChannelID
  /// The peer as applications see it. Its number distinguishes the peers of a feed, in the order of their arrival.
  package internal(set) var publicID = FeedPeerID(number: 0, id: nil)
  var number: UInt64 { publicID.number }

  // MARK: Downloading from the peer

  /// The blocks that it said it has.
  @exclusivity(unchecked) var remoteBlocks: BlockSet
  /// The highest block that it said it has, plus one: a hint.
  @exclusivity(unchecked) package internal(set) var remoteLength: UInt64 = 0
  /// The regions that were asked about; below, the number of those questions that are open.
  var wantedRegions: Set<UInt64> = []
  var openWants = 0
  @exclusivity(unchecked) var requests = RequestTable()
  /// The most requests that may be in flight. Grows with each answer, and halves when one stalls.
  @exclusivity(unchecked) var window = ReplicationLimits.firstRequests
  /// The tree nodes that will be known once everything in flight has arrived.
  @exclusivity(unchecked) var promisedNodes: BlockSet
  /// The number of blocks from the first one on that it has said to have, without a gap.
  @exclusivity(unchecked) var completePrefix: UInt64 = 0
  /// Answers that arrived before others that they rely on, and the numbers of their requests.
  @exclusivity(unchecked) var held: [(data: DataMessage, number: UInt64)] = []
  /// The time of the last answer to a request.
  @exclusivity(unchecked) var lastAnswer: Moment
  /// True if requests may rely on ``promisedNodes``; false for a peer that answers out of order.
  @exclusivity(unchecked) var answersInOrder: Bool
  /// True if a digest has relied on them, which the remote remembers.
  @exclusivity(unchecked) var hasCountedOnOrder = false
  var offences = 0
  /// The byte offsets that it was asked to find.
  var soughtBytes: Set<UInt64> = []

  // MARK: Uploading to the peer

  /// True if it sent a Want, and so is notified of new blocks.
  var wantsAnnouncements = false
  @exclusivity(unchecked) var queuedRequests = RequestQueue()
  /// Blocks that are read ahead while answers are made.
  @exclusivity(unchecked) var run: BlockRun?
  @exclusivity(unchecked) var queuedWants: [Range<UInt64>] = []
  /// The tree nodes that it has, according to the digests of its requests.
  let remoteTree: RemoteTree
  /// Blocks that are new here and have to be announced.
  var announcements: [Range<UInt64>] = []

  // MARK: Ending

  /// True if blocks are fetched from it.
  @exclusivity(unchecked) package internal(set) var isDownloading: Bool
  var everDownloaded: Bool
  @exclusivity(unchecked) var isUploading: Bool
  var remoteIsDownloading = true
  @exclusivity(unchecked) var isClosed = false
  var sentFinalInfo = false
  @exclusivity(unchecked) var lastActivity: Moment

  /// The comparison of its history with the one that is here.
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

  /// The name that the remote gives itself.
  package var remoteID: [UInt8]? { session.connection.remoteHandshake?.id }

  /// Sends a message, unless the channel is closed.
  func send(_ message: Message) {
    guard !isClosed else { return }
    let session = session
    do {
      try session.connection.send(message, on: channel)
    } catch {
      // The channel has closed, or the block is too large for a frame: nothing was sent.
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
        throw FeedError.peer("sent a bitfield that is not a run-length encoding of 2^20 blocks")
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
    // The limit is on all feeds together; checking now and then avoids a look at each of them.
    guard waiting < ReplicationLimits.queuedRequests,
      !waiting.isMultiple(of: 64)
        || session.queuedRequestCount < ReplicationLimits.queuedRequests
    else { throw FeedError.peer("sent more than 16384 requests without reading the answers") }
    queuedRequests.append(request)
    session.hasOutput()
  }

  // MARK: Time

  /// The time at which something is due here.
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
    // A slow peer that answers its requests one by one is not late with the rest.
    let isSilent = now >= lastAnswer + ReplicationLimits.requestTimeout
    let patience =
      isSilent ? ReplicationLimits.requestTimeout : ReplicationLimits.slowRequestTimeout
    let late = requests.stall(sentBy: now - patience)
    if !late.isEmpty {
      if !held.isEmpty {
        session.close(FeedError.unansweredRequest)
        return
      }
      // Its claim to have them is ignored until it is repeated.
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

  /// Fetches nothing more: blocks in flight are dropped when they arrive.
  func dropDownloads() {
    guard isDownloading else { return }
    isDownloading = false
    dropRequests()
    soughtBytes = []
    stopCountingOnOrder()
    send(.info(uploading: isUploading, downloading: false))
  }

  /// Releases the requests in flight, and the answers that wait for others, so that other peers can
  /// be asked.
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

  /// Adds blocks that are here now, to be announced at the end of the burst.
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

/// The amounts of a feed that were exchanged with one peer.
public struct PeerStatistics: Hashable, Sendable {
  /// Blocks that were sent.
  public internal(set) var uploadedBlocks: UInt64 = 0
  /// Bytes of the blocks that were sent, without their proofs.
  public internal(set) var uploadedBytes: UInt64 = 0
  /// Blocks that were received and verified.
  public internal(set) var downloadedBlocks: UInt64 = 0
  /// Bytes of the blocks that were received and verified, without their proofs.
  public internal(set) var downloadedBytes: UInt64 = 0

  mutating func countDownload(_ size: Int) {
    downloadedBlocks += 1
    downloadedBytes += UInt64(size)
  }
}
