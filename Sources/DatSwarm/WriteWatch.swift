/// A check, made from time to time, that a write makes progress.
package struct WriteWatch: Sendable {
  private var writes = 0
  private var isWriting = false
  private var seen = -1

  /// Makes a watch over no write.
  package init() {}

  /// Notes that a write, or its next piece, begins.
  package mutating func begin() {
    writes += 1
    isWriting = true
  }

  /// Notes that the write is done.
  package mutating func end() { isWriting = false }

  /// Returns whether the write in progress was already in progress at the last look.
  package mutating func looksStuck() -> Bool {
    defer { seen = isWriting ? writes : -1 }
    return isWriting && seen == writes
  }
}
