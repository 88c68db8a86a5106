internal import HypercoreCrypto
internal import HypercoreProtocol

/// The downloading side of one peer: the requests in flight to it, and what their answers rely on.
///
/// It sends nothing and stores nothing. It returns what the peer's owner has to do: the blocks to request elsewhere,
/// the answers to store, the way an answer failed.
struct PeerDownload {
  /// The handling of an answer that leads to no node that is known here.
  enum Rescue: Equatable {
    /// The answer is kept until those that it relies on are here.
    case kept
    /// It relies on no other answer: it is wrong.
    case wrong
    /// An answer that it relies on was given up.
    case tooLate
    /// There is no memory to keep it.
    case noRoom
  }

  private(set) var requests = RequestTable()
  /// The most requests that may be in flight. Grows with each answer, and halves when one stalls.
  private var window = ReplicationLimits.firstRequests
  private var promised: PromisedNodes
  private var held: HeldAnswers
  /// The time of the last answer to a request.
  private var lastAnswer: Moment
  /// The number of blocks that nobody asked for.
  private var offences = 0
  /// The byte offsets that it was asked to find.
  private var soughtBytes: Set<UInt64> = []

  init(memory: PeerMemory, answersInOrder: Bool, now: Moment) {
    promised = PromisedNodes(memory: memory, answersInOrder: answersInOrder)
    held = HeldAnswers(memory: memory)
    lastAnswer = now
  }

  // MARK: Requests

  /// The number of requests that may be sent now.
  ///
  /// - Parameter blockSize: the mean size of the feed's blocks.
  func free(blockSize: Int) -> Int {
    let byBytes = max(ReplicationLimits.requestedBytes / max(blockSize, 1), 2)
    return min(
      min(window, ReplicationLimits.requests, byBytes) - requests.activeCount,
      ReplicationLimits.requestSpan - requests.span)
  }

  /// Records a request that is about to be sent.
  ///
  /// - Returns: the digest to send with it, see ``PromisedNodes``.
  mutating func request(
    _ index: UInt64, of remote: inout RemoteBlocks, knowing bits: Bitfield, now: Moment
  ) -> UInt64 {
    let digest = promised.digest(
      of: index, remoteLength: remote.length, complete: remote.completeLength(), bits)
    requests.add(index, sent: now)
    return digest
  }

  /// Marks the requests for blocks of a range as cancelled.
  mutating func cancel(in range: Range<UInt64>) { requests.cancel(in: range) }

  // MARK: Answers

  /// Removes the request that an answer belongs to.
  ///
  /// - Returns: nil if there is none.
  mutating func answered(_ index: UInt64, now: Moment) -> RequestTable.Entry? {
    guard let entry = requests.remove(index) else { return nil }
    lastAnswer = now
    if requests.activeCount == 0 { promised.removeAll() }
    if window < ReplicationLimits.requests { window += 1 }
    return entry
  }

  /// Keeps an answer that leads to no known node, if those that it relies on may still arrive.
  ///
  /// - Parameter number: the number of its request.
  mutating func keep(_ data: DataMessage, sentAs number: UInt64) -> Rescue {
    guard promised.wereCounted, let older = requests.oldest(before: number) else { return .wrong }
    if older.isStalled { return .tooLate }
    // This peer does not answer in order, so later requests rely on no promised nodes.
    promised.distrust()
    return held.add(data, number) ? .kept : .noRoom
  }

  /// True if answers are kept.
  var holdsAnswers: Bool { !held.isEmpty }

  /// Removes the next kept answer if all that it can rely on has arrived.
  mutating func nextHeld() -> (data: DataMessage, number: UInt64)? {
    guard let first = held.firstNumber, requests.oldest(before: first) == nil else { return nil }
    return held.removeFirst()
  }

  /// Counts an answer that nobody asked for.
  ///
  /// - Returns: false if there are too many.
  mutating func forgiveOffence() -> Bool {
    offences += 1
    return offences <= ReplicationLimits.offences
  }

  // MARK: Seeks

  /// Returns whether it was asked for the block that holds this byte.
  func seeks(byte: UInt64) -> Bool { soughtBytes.contains(byte) }

  mutating func seek(byte: UInt64) { soughtBytes.insert(byte) }

  /// Ends the seeks, as an answer to one has come.
  ///
  /// - Returns: false if there were none.
  mutating func endSeeks() -> Bool {
    guard !soughtBytes.isEmpty else { return false }
    soughtBytes.removeAll()
    return true
  }

  // MARK: Time

  /// The time at which ``stall(at:)`` may find something.
  var deadline: Moment? {
    requests.oldest().map {
      min(
        max($0, lastAnswer) + ReplicationLimits.requestTimeout,
        $0 + ReplicationLimits.slowRequestTimeout)
    }
  }

  /// Gives up the requests whose answers are late.
  ///
  /// - Returns: their blocks, to be requested from other peers.
  mutating func stall(at now: Moment) -> [UInt64] {
    // A slow peer that answers its requests one by one is not late with the rest.
    let isSilent = now >= lastAnswer + ReplicationLimits.requestTimeout
    let patience =
      isSilent ? ReplicationLimits.requestTimeout : ReplicationLimits.slowRequestTimeout
    return requests.stall(sentBy: now - patience)
  }

  /// Requests less, and relies on nothing that is in flight, as answers are late.
  mutating func slowDown() {
    window = max(window / 2, 4)
    promised.distrust()
  }

  // MARK: Ending

  /// Removes the requests in flight, and the answers that wait for others.
  ///
  /// - Returns: their blocks, which other peers can be asked for.
  mutating func removeRequests() -> [UInt64] {
    var dropped = requests.removeAll()
    dropped += held.removeAll()
    return dropped
  }

  /// Ends the seeks, and relies on no promised nodes any more.
  mutating func removePromises() {
    soughtBytes = []
    promised.distrust()
  }

  /// Releases the memory of the promised nodes, at the end.
  mutating func removeAll() { promised.removeAll() }
}
