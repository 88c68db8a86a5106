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

  /// The blocks that it said it has.
  @exclusivity(unchecked) var remote: RemoteBlocks
  @exclusivity(unchecked) var download: PeerDownload
  @exclusivity(unchecked) var upload: PeerUpload
  /// The comparison of its history with the one that is here.
  @exclusivity(unchecked) var comparison = PeerComparison()
  @exclusivity(unchecked) var ending: PeerEnding
  @exclusivity(unchecked) package internal(set) var statistics = PeerStatistics()

  init(
    replicator: Replicator, session: ReplicationSession, channel: ChannelID, download: Bool,
    upload: Bool
  ) {
    self.replicator = replicator
    self.session = session
    core = replicator.core
    self.channel = channel
    remote = RemoteBlocks(memory: session.memory)
    self.download = PeerDownload(
      memory: session.memory, answersInOrder: replicator.plan.countsOnOrder, now: session.now)
    self.upload = PeerUpload(isOn: upload, memory: session.memory)
    ending = PeerEnding(fetches: download, now: session.now)
  }

  /// The highest block that it said it has, plus one: a hint.
  package var remoteLength: UInt64 { remote.length }

  /// True if blocks are fetched from it.
  var isDownloading: Bool { ending.isFetching }

  var isClosed: Bool { ending.isClosed }

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
      remote.remove(from: start, length: length)
      comparison.lacks(start)
    case .want(let start, let length): try receiveWant(start: start, length: length)
    case .unwant(let start, let length): upload.withdraw(from: start, length: length)
    case .request(let request): try receiveRequest(request)
    case .cancel(let index, let bytes, let hash):
      upload.cancel(RequestQueue.Question(index: index, bytes: bytes, hash: hash))
    case .data(let data): try receiveData(data)
    }
  }

  private func receiveInfo(downloading: Bool) throws {
    ending.remoteIsFetching = downloading
    replicator.needsUpdate()
  }

  private func receiveHave(start: UInt64, length: UInt64, bitfield: [UInt8]?) throws {
    let before = remote.length
    guard try remote.add(from: start, length: length, bitfield: bitfield) else { return }
    for selection in replicator.plan.selections { selection.lowerCursor(of: self, to: start) }
    comparison.claim(remote.length, isOwned: core.isOwned)
    if before == 0 || remote.length > before { replicator.remoteUpdated(self) }
    replicator.needsUpdate()
  }

  private func receiveWant(start: UInt64, length: UInt64) throws {
    ending.lastActivity = session.now
    let unit = ReplicationLimits.wantUnit
    guard start.isMultiple(of: unit), length.isMultiple(of: unit) else { return }
    // The reference learns the length from this.
    if upload.subscribe(), core.length > 0, core.has(core.length - 1) {
      send(.have(start: core.length - 1))
    }
    if try upload.ask(from: start, length: length) { session.hasOutput() }
  }

  private func receiveRequest(_ request: Request) throws {
    ending.lastActivity = session.now
    guard upload.isOn else { return }
    let waiting = upload.requests.count
    // The limit is on all feeds together; checking now and then avoids a look at each of them.
    guard waiting < ReplicationLimits.queuedRequests,
      !waiting.isMultiple(of: 64)
        || session.queuedRequestCount < ReplicationLimits.queuedRequests
    else { throw FeedError.peer("sent more than 16384 requests without reading the answers") }
    upload.queue(request)
    session.hasOutput()
  }

  // MARK: Time

  /// The time at which something is due here.
  var deadline: Instant? {
    var next = download.deadline
    next = min(next, comparison.deadline)
    if endsWhenIdle { next = min(next, idleDeadline) }
    return min(min(next, replicator.catchUp.deadline), replicator.gate.pauseEnd)?.instant
  }

  func tick(now: Moment) {
    replicator.tickCatchUp(now: now)
    if comparison.expire(at: now) { replicator.needsUpdate() }
    replicator.tickPause(now: now)
    let late = download.stall(at: now)
    if !late.isEmpty {
      if download.holdsAnswers {
        session.close(FeedError.unansweredRequest)
        return
      }
      for index in late {
        remote.remove(index)
        replicator.release(index)
      }
      download.slowDown()
      replicator.needsUpdate()
    }
    if endsWhenIdle, now >= idleDeadline { endIdle() }
  }

  /// Fetches nothing more: blocks in flight are dropped when they arrive.
  func dropDownloads() {
    guard isDownloading else { return }
    ending.stop()
    dropRequests()
    download.removePromises()
    send(.info(uploading: upload.isOn, downloading: false))
  }

  /// Releases the requests in flight, and the answers that wait for others, so that other peers can
  /// be asked.
  func dropRequests() {
    for index in download.removeRequests() { replicator.release(index) }
  }

  // MARK: Announcing

  /// Adds blocks that are here now, to be announced at the end of the burst.
  func announce(_ range: Range<UInt64>) {
    guard upload.isSubscribed, !remote.blocks.containsAll(range) else { return }
    upload.announce(range)
  }

  func flushAnnouncements() {
    guard !upload.announcements.isEmpty else { return }
    for range in upload.announcements {
      send(.have(start: range.lowerBound, length: UInt64(range.count)))
    }
    upload.clearAnnouncements()
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
