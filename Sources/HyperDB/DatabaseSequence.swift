internal import Hypercore

/// A walk through a database, from which elements are taken as they are wanted.
///
/// The state that is walked is the one at the first element; what is written later doesn't matter.
/// In a sparse database blocks are fetched as the walk needs them.
public struct DatabaseSequence<Element: Sendable>: AsyncSequence, Sendable {
  /// Makes the walk, on the database's executor.
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

  /// All elements at once.
  public func collect() async throws -> [Element] {
    var elements: [Element] = []
    for try await element in self { elements.append(element) }
    return elements
  }

  /// Goes through the sequence once.
  public struct Iterator: AsyncIteratorProtocol {
    let sequence: DatabaseSequence
    private var walk: OnReplica<DatabaseWalk<Element>>?
    private var ahead: [Element] = []
    private var place = 0
    private var isDone = false

    init(sequence: DatabaseSequence) { self.sequence = sequence }

    /// The next element, nil at the end.
    ///
    /// - Throws: what the reading calls of ``HyperDB`` throw. If that is about one element, such as a value
    ///   that a transform can't read, the next call goes on after it.
    public mutating func next() async throws -> Element? {
      if place < ahead.count {
        defer { place += 1 }
        return ahead[place]
      }
      if isDone { return nil }
      do {
        try Task.checkCancellation()
        if walk == nil { walk = try await sequence.db.begin(sequence) }
        guard let walk else { return nil }
        (ahead, isDone) = try await sequence.db.advance(walk, timeout: sequence.timeout)
      } catch {
        // What was never begun, was cancelled or has no database any more has no next element.
        isDone =
          walk == nil || error is CancellationError || (error as? HyperDBError)?.code == .closed
        ahead = []
        place = 0
        throw error
      }
      place = 1
      return ahead.first
    }
  }
}

/// A walk has gone far without an element, and goes on after others had their turn.
struct WalkPause: Error {}

/// A walk under way.
final class DatabaseWalk<Element> {
  let next: () throws -> Element?
  /// What went wrong after elements that are still to be given.
  var failure: (any Error)?

  init(_ next: @escaping () throws -> Element?) { self.next = next }
}

extension HyperDB {
  /// How many elements are taken in one turn of the executor, fewer where their values are large.
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
    // One at least: others count as shown as well while a block is waited for.
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
