internal import DatFleet
internal import HypercoreCrypto

/// A question of the plan about a key.
struct FleetAsk: Hashable {
  let key: DiscoveryKey
  let hosts: [String]
  let round: UInt64
}

/// Questions to other members: those that are to be sent, those that wait for a connection, and those that were sent.
struct FleetQuestions {
  /// A question that was sent.
  struct Sent {
    let key: DiscoveryKey
    let host: String
    let round: UInt64
    /// The only right answer of a host that has the blocks.
    let proof: [UInt8]
    /// The number of the connection.
    let link: Int
  }

  /// The most questions without answers; more make the oldest ones void, and the plan asks again.
  private static let maximumSent = 8192
  /// The most questions that wait for a connection with one member.
  private static let maximumWaiting = 256

  private var queue: [FleetAsk] = []
  private var isSending = false
  /// Questions for members that are not connected yet.
  private var waiting: [String: [FleetAsk]] = [:]
  private var sent: [UInt32: Sent] = [:]
  private var lastID: UInt32 = 0

  // MARK: To be sent

  /// Adds a question.
  ///
  /// - Returns: true if no task sends questions: one has to begin.
  mutating func add(_ ask: FleetAsk) -> Bool {
    queue.append(ask)
    defer { isSending = true }
    return !isSending
  }

  /// Returns the next question.
  mutating func next() -> FleetAsk? { queue.isEmpty ? nil : queue.removeFirst() }

  /// Ends the sending, until another question is added.
  mutating func endSending() { isSending = false }

  // MARK: Waiting for a connection

  /// Keeps a question until its member is connected.
  mutating func wait(_ ask: FleetAsk, for name: String) {
    guard waiting[name, default: []].count < Self.maximumWaiting else { return }
    waiting[name, default: []].append(FleetAsk(key: ask.key, hosts: [name], round: ask.round))
  }

  /// Returns the questions for a member that is connected now.
  mutating func removeWaiting(for name: String) -> [FleetAsk] {
    waiting.removeValue(forKey: name) ?? []
  }

  // MARK: Sent

  /// Makes room for more questions.
  mutating func trim() {
    if sent.count >= Self.maximumSent { sent = [:] }
  }

  /// The number of the next question.
  mutating func nextID() -> UInt32 {
    lastID &+= 1
    return lastID
  }

  /// Notes a question that is sent.
  mutating func note(_ question: Sent, id: UInt32) { sent[id] = question }

  /// Returns the question that an answer is for, once; nil if it was not asked on that connection.
  mutating func answered(_ id: UInt32, on link: Int) -> Sent? {
    // Only the one that was asked can answer.
    guard sent[id]?.link == link else { return nil }
    return sent.removeValue(forKey: id)
  }

  /// Gives up the questions on a connection that has ended.
  mutating func remove(on link: Int) { sent = sent.filter { $0.value.link != link } }
}
