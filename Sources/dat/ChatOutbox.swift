/// The lines of a chat on their way out: how far those that were written are, and those that wait until the user's own
/// feed can be written.
struct ChatOutbox {
  /// The condition under which a chat may end with everything delivered.
  enum Goal: Hashable {
    /// Lines still wait to be written.
    case writeKept
    /// A peer has everything up to this block of the user's feed.
    case upload(UInt64)
    /// Nothing was written: what peers have is here.
    case catchUp
  }

  /// The last block of the user's feed that was written here.
  private var written: UInt64?
  private var kept: KeptLines
  /// True if a line was not accepted or did not reach a peer, which was reported.
  private(set) var isIncomplete = false

  /// - Parameter folder: the folder for lines that wait; nil to keep them only in memory.
  init(folder: String?) { kept = KeptLines(folder: folder) }

  /// The lines that wait.
  var waiting: [String] { kept.lines }

  /// The path of a file that should hold waiting lines but can't be read; it is kept.
  var unreadable: String? { kept.setAside }

  var goal: Goal {
    if kept.hasLines { return .writeKept }
    return written.map { .upload($0) } ?? .catchUp
  }

  /// Keeps a line until it can be written.
  mutating func keep(_ line: String) throws { try kept.add(line) }

  /// Removes the first line that waited, since it is written.
  mutating func removeFirstWaiting() throws { try kept.removeFirst() }

  /// Notes that a block was written.
  mutating func noteWritten(_ block: UInt64) { written = block }

  /// Notes that a line was lost or did not reach a peer, which is reported.
  mutating func noteIncomplete() { isIncomplete = true }

  /// The number of lines that wait and what becomes of them, for people; nil if none do.
  var remains: String? {
    guard kept.hasLines else { return nil }
    let count = kept.lines.count
    return "\(count == 1 ? "1 line was" : "\(count) lines were") not sent, and \(kept.fate)"
  }
}
