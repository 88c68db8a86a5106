internal import Hypercore

/// A walk through a database, from which elements are taken as they are wanted.
///
/// The state that is walked is the one at the first element; what is written later doesn't matter.
/// In a sparse database blocks are fetched as the walk needs them.
public struct DatabaseSequence<Element: Sendable>: AsyncSequence, Sendable {
  /// Makes the walk, on the database's executor.
  typealias Start = @Sendable (isolated HyperDB) throws -> () throws -> Element?

  let db: HyperDB
  let start: Start

  init(db: HyperDB, start: @escaping Start) {
    self.db = db
    self.start = start
  }

  public func makeAsyncIterator() -> Iterator { Iterator(db: db, start: start) }

  /// All elements at once.
  public func collect() async throws -> [Element] {
    var elements: [Element] = []
    for try await element in self { elements.append(element) }
    return elements
  }

  public struct Iterator: AsyncIteratorProtocol {
    let db: HyperDB
    let start: Start
    private var walk: OnReplica<() throws -> Element?>?
    private var ahead: [Element] = []
    private var place = 0
    private var isDone = false

    init(db: HyperDB, start: @escaping Start) {
      self.db = db
      self.start = start
    }

    /// The next element, nil at the end.
    public mutating func next() async throws -> Element? {
      if place < ahead.count {
        defer { place += 1 }
        return ahead[place]
      }
      if isDone { return nil }
      if walk == nil { walk = try await db.begin(start) }
      guard let walk else { return nil }
      (ahead, isDone) = try await db.advance(walk)
      place = 1
      return ahead.first
    }
  }
}

extension HyperDB {
  /// How many elements are taken in one turn of the executor.
  private static var elementsAtOnce: Int { 128 }

  func begin<Element>(
    _ start: DatabaseSequence<Element>.Start
  ) async throws -> OnReplica<() throws -> Element?> {
    let walk = try await reading(ReadOptions()) { try start(self) }
    return OnReplica(walk, on: replica)
  }

  func advance<Element>(
    _ walk: OnReplica<() throws -> Element?>
  ) async throws -> (elements: [Element], isDone: Bool) {
    let next = walk.take(on: replica)
    var elements: [Element] = []
    elements.reserveCapacity(Self.elementsAtOnce)
    while elements.count < Self.elementsAtOnce {
      do {
        guard let element = try next() else { return (elements, true) }
        elements.append(element)
      } catch let missing as MissingBlock {
        if !elements.isEmpty { return (elements, false) }
        try await fetch(missing, timeout: nil)
      }
    }
    return (elements, false)
  }
}
