internal import Foundation

/// Appends that wait to be written to a feed, in the order of the calls.
///
/// A caller adds its append here before it waits for the feed's executor. So appends that arrive
/// while another is being written are found together afterwards, and are written and signed as one
/// batch; an append that was awaited before the next call has a signature of its own.
///
/// Unchecked with this proof: `waiting` is accessed under the lock only.
final class AppendQueue: @unchecked Sendable {
  /// One call's blocks.
  ///
  /// Unchecked with this proof: `blocks` never changes, and `result` is set and read only on the
  /// feed's executor.
  final class Ticket: @unchecked Sendable {
    let blocks: [[UInt8]]
    /// The index of the first block, once written.
    var result: Result<UInt64, FeedError>?

    init(_ blocks: [[UInt8]]) { self.blocks = blocks }
  }

  private let lock = NSLock()
  private var waiting: [Ticket] = []

  func add(_ blocks: [[UInt8]]) -> Ticket {
    let ticket = Ticket(blocks)
    lock.withLock { waiting.append(ticket) }
    return ticket
  }

  func takeAll() -> [Ticket] {
    lock.withLock {
      defer { waiting = [] }
      return waiting
    }
  }
}
