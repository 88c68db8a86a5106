internal import Hypercore

/// A lazy walk through a database.
///
/// The walk sees the state at its first element, and nothing that is written later. In a sparse
/// database blocks are fetched as it needs them.
public struct DatabaseSequence<Element: Sendable>: AsyncSequence, Sendable {
  /// Starts the walk, on the database's executor.
  typealias Start = @Sendable (isolated HyperDB) throws -> () throws -> Element?

  let db: HyperDB
  let update: Bool?
  let timeout: Duration?
  let start: Start

  init(db: HyperDB, update: Bool?, timeout: Duration?, start: @escaping Start) {
    self.db = db
    self.update = update
    self.timeout = timeout
    self.start = start
  }

  public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

  /// Returns all elements at once.
  public func collect() async throws -> [Element] {
    var elements: [Element] = []
    for try await element in self { elements.append(element) }
    return elements
  }

  /// An iterator that goes through the sequence once.
  public struct Iterator: AsyncIteratorProtocol {
    let sequence: DatabaseSequence
    private var walk: OnReplica<DatabaseWalk<Element>>?
    private var ahead: [Element] = []
    private var nextIndex = 0
    private var isDone = false

    init(sequence: DatabaseSequence) { self.sequence = sequence }

    /// Returns the next element, nil at the end.
    ///
    /// - Throws: the errors of ``HyperDB``'s reading calls. If one is about a single element, such as a value
    ///   that a transform can't read, the next call goes on after it.
    public mutating func next() async throws -> Element? {
      if nextIndex < ahead.count {
        defer { nextIndex += 1 }
        return ahead[nextIndex]
      }
      if isDone { return nil }
      do {
        try Task.checkCancellation()
        if walk == nil { walk = try await sequence.db.begin(sequence) }
        guard let walk else { return nil }
        (ahead, isDone) = try await sequence.db.advance(walk, timeout: sequence.timeout)
      } catch {
        // A walk that never began, was cancelled or has lost its database has no next element.
        isDone =
          walk == nil || error is CancellationError || (error as? HyperDBError)?.code == .closed
        ahead = []
        nextIndex = 0
        throw error
      }
      nextIndex = 1
      return ahead.first
    }
  }
}

/// Thrown when a walk has gone far without an element: it goes on after others had their turn.
struct WalkPause: Error {}

/// A walk in progress.
final class DatabaseWalk<Element> {
  let next: () throws -> Element?
  /// An error that comes after elements that are still to be returned.
  var failure: (any Error)?

  init(_ next: @escaping () throws -> Element?) { self.next = next }
}

extension HyperDB {
  /// The most elements that one turn of the executor takes; fewer if their values are large.
  private static var elementsAtOnce: Int { 128 }

  func begin<Element>(
    _ sequence: DatabaseSequence<Element>
  ) async throws -> OnReplica<DatabaseWalk<Element>> {
    let waiting = waiting(update: sequence.update, timeout: sequence.timeout)
    let walk = try await reading(waiting) { try sequence.start(self) }
    return OnReplica(DatabaseWalk(walk), on: replica)
  }

  func advance<Element>(
    _ walk: OnReplica<DatabaseWalk<Element>>, timeout: Duration?
  ) async throws -> (elements: [Element], isDone: Bool) {
    let walk = walk.take(on: replica)
    if let failure = walk.failure {
      walk.failure = nil
      throw failure
    }
    try checkOpen()
    let deadline = waiting(timeout: timeout).timeout.map { ContinuousClock.now + $0 }
    var elements: [Element] = []
    elements.reserveCapacity(Self.elementsAtOnce)
    let shownBefore = shownBytes
    // At least one: while a block is awaited, other readers add to `shownBytes` as well.
    var count = 0
    while count == 0
      || count < Self.elementsAtOnce && shownBytes &- shownBefore < Self.bytesAtOnce
    {
      do {
        guard let element = try walk.next() else { return (elements, true) }
        elements.append(element)
        count += 1
      } catch is WalkPause {
        if !elements.isEmpty { return (elements, false) }
        await Task.yield()
        try Task.checkCancellation()
        try checkOpen()
      } catch let missing as MissingBlock {
        if !elements.isEmpty { return (elements, false) }
        try await fetch(missing, until: deadline)
      } catch {
        if elements.isEmpty { throw error }
        walk.failure = error
        return (elements, false)
      }
    }
    return (elements, false)
  }
}
