internal import HypercoreProtocol

// A Request says which nodes are known, so its answer leaves out any that could contradict them: two
// histories of one feed could pass each other unnoticed. Each connection therefore begins with a question
// that says nothing: the hash of one block with the whole path up to the signed roots, which is compared with
// what is here.
//
//     here    0 … 7 8 9 a b          the hash of block 11, no digest
//     there   0 … 7 8 9 A B C D      its path up to the roots of 14 blocks, signed
//
// The last block that is signed here is the best one to ask for: the path up from it passes all roots here.

/// The known relation of one peer's history to the one here.
struct PeerComparison {
  /// A question that is not answered yet.
  struct Question {
    var index: UInt64
    var sent: Moment
    /// True if no known node was named to the peer before, so that it has to send all of them.
    var toldNothing: Bool
  }

  /// True if a question is due as soon as the peer is known to have a block to compare.
  private(set) var isDue = false
  /// The announcements of more blocks since the last question, and the number that is allowed before the
  /// next.
  private var announcements = 0
  private var patience = 1
  /// True if the peer was asked what it has, for this question alone.
  var hasWanted = false
  private(set) var question: Question?
  /// The length up to which the peer's history, as the key signed it, is the same as the one here.
  private(set) var agreedLength: UInt64 = 0
  /// The number of questions without a usable answer.
  private(set) var failures = 0
  /// True if the digest of a request has named known nodes to the peer.
  var hasToldNodes = false
  /// The number of common blocks in the evidence that the peer is known to have; nil for no evidence.
  private var knownEvidence: UInt64?
  /// The number of messages with evidence from the peer.
  private var evidenceCount = 0
  /// The number of questions asked to find the beginning of a fork.
  private(set) var narrowings = 0

  // MARK: The question

  /// Records that the peer claims the blocks below `end`, which may be of another history.
  ///
  /// A writer asks each time: nobody else should have blocks that it lacks. A reader hears of every block
  /// from every peer, so it asks after 1, 2, 4 … announcements.
  mutating func claim(_ end: UInt64, isOwned: Bool) {
    guard end > agreedLength, !isDue else { return }
    announcements += 1
    guard isOwned || announcements >= patience else { return }
    announcements = 0
    patience = min(2 * patience, ReplicationLimits.comparisonInterval)
    isDue = true
  }

  /// Records that a question is sent.
  mutating func ask(_ index: UInt64, now: Moment) {
    isDue = false
    question = Question(index: index, sent: now, toldNothing: !hasToldNodes)
  }

  /// Removes the question, if an answer about this block belongs to it.
  mutating func answered(_ index: UInt64) -> Question? {
    guard let question, question.index == index else { return nil }
    self.question = nil
    return question
  }

  /// Drops the question, as another answer has shown the same.
  mutating func dropQuestion() { question = nil }

  /// Records that both histories are the same up to a length.
  mutating func agree(on length: UInt64) { agreedLength = max(agreedLength, length) }

  /// The answer to a question shows that both histories are the same up to a length.
  mutating func confirm(_ length: UInt64) {
    failures = 0
    agree(on: length)
  }

  /// The answer to a question shows nothing.
  mutating func fail() { failures += 1 }

  /// Gives up the question, if it is about this block, which the peer lacks.
  mutating func lacks(_ index: UInt64) {
    guard question?.index == index else { return }
    question = nil
    failures += 1
  }

  /// The time at which the question is given up.
  var deadline: Moment? { question.map { $0.sent + ReplicationLimits.requestTimeout } }

  /// Gives up a question whose answer is late.
  ///
  /// - Returns: false if none is late.
  mutating func expire(at now: Moment) -> Bool {
    guard let deadline, now >= deadline else { return false }
    question = nil
    failures += 1
    return true
  }

  // MARK: A fork

  /// Records that a question about the beginning of a fork is sent.
  mutating func narrow(at index: UInt64, now: Moment) {
    narrowings += 1
    question = Question(index: index, sent: now, toldNothing: false)
  }

  /// Records that the peer gets evidence of a fork.
  ///
  /// - Returns: false if it has evidence that is as good.
  mutating func send(evidence common: UInt64) -> Bool {
    if let knownEvidence, common <= knownEvidence { return false }
    knownEvidence = common
    return true
  }

  /// Counts a message with evidence.
  ///
  /// - Returns: false if there were too many to look at it.
  mutating func countEvidence() -> Bool {
    guard evidenceCount < ReplicationLimits.evidenceMessages else { return false }
    evidenceCount += 1
    return true
  }

  /// Records that the peer has evidence of a fork.
  mutating func received(evidence common: UInt64) { knownEvidence = common }
}
