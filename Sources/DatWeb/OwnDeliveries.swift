internal import Saga

/// The progress of the user's own message to others.
enum Delivery: String, Sendable {
  /// Written here; no peer has requested it yet.
  case waiting
  /// Its block was sent to a peer that had requested it.
  case sent
}

/// The user's own messages of this run, and how far they went.
struct OwnDeliveries {
  /// Messages that no peer has fetched yet, by their block.
  private var unsent: [(seq: UInt64, id: Message.ID)] = []
  /// The last block that was written before this run.
  private let first: UInt64
  /// The last block that a peer has fetched in this run.
  private var sent: UInt64 = 0

  /// - Parameter first: the last block that is there already.
  init(after first: UInt64 = 0) { self.first = first }

  /// Adds an own message, which was written or edited.
  mutating func add(_ message: Message) {
    if message.seq > sent { unsent.append((message.seq, message.id)) }
  }

  /// Notes that a peer has fetched everything up to a block.
  ///
  /// - Returns: the messages that are delivered by that.
  mutating func noteSent(_ seq: UInt64) -> [Message.ID] {
    sent = max(sent, seq)
    defer { unsent.removeAll { $0.seq <= seq } }
    return unsent.filter { $0.seq <= seq }.map(\.id)
  }

  /// Returns the delivery of an own message; nil for one from an earlier run.
  func delivery(of message: Message) -> Delivery? {
    guard message.seq > first else { return nil }
    return message.seq <= sent ? .sent : .waiting
  }
}
