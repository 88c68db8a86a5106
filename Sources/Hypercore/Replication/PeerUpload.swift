internal import DatCoding
internal import HypercoreProtocol

/// The uploading side of one peer: its requests and questions that wait to be answered, and what it has to be notified of.
///
/// It sends nothing. Answers are made by the peer's owner when the transport has room for them.
struct PeerUpload {
  /// True if requests are answered.
  let isOn: Bool
  /// True if it sent a Want, and so is notified of new blocks.
  private(set) var isSubscribed = false
  private(set) var requests = RequestQueue()
  /// The regions about which it asked.
  private var regions: [Range<UInt64>] = []
  /// Blocks that are new here and have to be announced.
  private(set) var announcements: [Range<UInt64>] = []
  /// The tree nodes that it has, according to the digests of its requests.
  let remoteTree: RemoteTree

  init(isOn: Bool, memory: PeerMemory) {
    self.isOn = isOn
    remoteTree = RemoteTree(memory: memory)
  }

  /// True if the remote waits for an answer.
  var hasQueue: Bool { !requests.isEmpty || !regions.isEmpty }

  // MARK: Questions

  /// Notifies the remote of new blocks from now on.
  ///
  /// - Returns: false if it was notified before, or nothing is uploaded.
  mutating func subscribe() -> Bool {
    guard isOn, !isSubscribed else { return false }
    isSubscribed = true
    return true
  }

  /// Queues the question of a Want.
  ///
  /// - Returns: false if the same region waits already.
  /// - Throws: ``FeedError`` if too many wait.
  mutating func ask(from start: UInt64, length: UInt64) throws(FeedError) -> Bool {
    let end = start + min(length == 0 ? Varint.maximum : length, Varint.maximum)
    guard !regions.contains(where: { $0.lowerBound == start }) else { return false }
    guard regions.count < ReplicationLimits.queuedWants else {
      throw FeedError.peer("asked about more than 64 regions without reading the answers")
    }
    regions.append(start..<end)
    return true
  }

  /// Removes the question that an Unwant takes back.
  mutating func withdraw(from start: UInt64, length: UInt64) {
    regions.removeAll { $0.lowerBound == start && UInt64($0.count) == length }
  }

  /// Removes the next region to answer.
  mutating func nextRegion() -> Range<UInt64>? { regions.isEmpty ? nil : regions.removeFirst() }

  /// Queues the rest of a region that is too large for one answer, before all others.
  mutating func putBack(_ rest: Range<UInt64>) { regions.insert(rest, at: 0) }

  // MARK: Requests

  mutating func queue(_ request: Request) { requests.append(request) }

  mutating func cancel(_ question: RequestQueue.Question) { requests.cancel(question) }

  mutating func nextRequest() -> Request? { requests.popFirst() }

  // MARK: Announcements

  /// Adds blocks that are here now, to be announced at the end of the burst.
  mutating func announce(_ range: Range<UInt64>) {
    if let last = announcements.last, last.upperBound == range.lowerBound {
      announcements[announcements.count - 1] = last.lowerBound..<range.upperBound
    } else {
      announcements.append(range)
    }
  }

  /// Removes the announcements, which were sent.
  mutating func clearAnnouncements() { announcements.removeAll(keepingCapacity: true) }
}
