/// Whether a write makes progress, looked at from time to time.
package struct WriteWatch: Sendable {
  private var writes = 0
  private var isWriting = false
  private var seen = -1

  /// A watch over no write.
  package init() {}

  /// A write, or its next piece, begins.
  package mutating func begin() {
    writes += 1
    isWriting = true
  }

  /// The write is done.
  package mutating func end() { isWriting = false }

  /// Whether the write under way was under way at the last look too.
  package mutating func looksStuck() -> Bool {
    defer { seen = isWriting ? writes : -1 }
    return isWriting && seen == writes
  }
}
