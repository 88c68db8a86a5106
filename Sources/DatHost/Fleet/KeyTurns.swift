internal import HypercoreCrypto

/// The keys for which the plan is to be followed, and those for which it is being followed, which takes a while.
///
/// The work on a key is not in here: it follows from the plan, which is looked at when the key's turn comes.
struct KeyTurns {
  private var due: [DiscoveryKey] = []
  private var isRunning = false
  private var current: Set<DiscoveryKey> = []
  /// Keys of ``current`` whose turn has come again meanwhile.
  private var again: Set<DiscoveryKey> = []
  /// Keys whose space is to be freed at their next turn.
  private var freeing: Set<DiscoveryKey> = []

  /// Adds a key.
  ///
  /// - Returns: true if no task takes turns: one has to begin.
  mutating func add(_ key: DiscoveryKey) -> Bool {
    due.append(key)
    defer { isRunning = true }
    return !isRunning
  }

  /// Notes that the space of a key is to be freed.
  mutating func free(_ key: DiscoveryKey) { freeing.insert(key) }

  /// Returns whether the space of a key is to be freed, once.
  mutating func frees(_ key: DiscoveryKey) -> Bool { freeing.remove(key) != nil }

  /// Returns the keys that are due, each once.
  mutating func nextBatch() -> [DiscoveryKey] {
    defer { due = [] }
    var seen: Set<DiscoveryKey> = []
    return due.filter { seen.insert($0).inserted }
  }

  /// Ends the turns, until another key is added.
  mutating func end() { isRunning = false }

  /// Begins a key's turn. If it has one already, that one is repeated at its end.
  ///
  /// - Returns: true if it had none.
  mutating func begin(_ key: DiscoveryKey) -> Bool {
    guard current.insert(key).inserted else {
      again.insert(key)
      return false
    }
    return true
  }

  /// Ends a key's turn, unless it is to be repeated.
  ///
  /// - Returns: true if it is to be repeated.
  mutating func repeats(_ key: DiscoveryKey) -> Bool {
    if again.remove(key) != nil { return true }
    current.remove(key)
    return false
  }

  /// Ends a key's turn for good.
  mutating func giveUp(_ key: DiscoveryKey) {
    again.remove(key)
    current.remove(key)
  }
}
