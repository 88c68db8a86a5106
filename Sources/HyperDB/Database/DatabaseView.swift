internal import Hypercore
public import HypercoreCrypto

/// The state of a key, in the type of a ``DatabaseView``.
public enum Versioned<Value: Sendable>: Sendable {
  /// No value: it was never written, or it is deleted.
  case missing
  /// One value, known to all later writers of the key.
  case value(Value)
  /// Values of writers that didn't know each other's: two revisions or more, in no order.
  case conflict([Revision<Value>])

  /// The value, if there is exactly one.
  public var value: Value? {
    if case .value(let value) = self { return value }
    return nil
  }
}

extension Versioned: Equatable where Value: Equatable {}

/// One side of a conflict.
public struct Revision<Value: Sendable>: Sendable {
  /// The written value; nil for a delete.
  public let value: Value?
  /// The feed of its writer.
  public let feed: PublicKey
  /// The block of that feed.
  public let seq: UInt64
}

extension Revision: Equatable where Value: Equatable {}

/// A folder of a database in which every value has one type.
///
/// ```swift
/// let people = db.view(of: Person.self, under: "people")
/// try await people.put("ana", Person(city: "Bogotá"))
/// switch try await people.get("ana") {
/// case .missing: break
/// case .value(let person): print(person.city)
/// case .conflict(let revisions): try await people.put("ana", merge(revisions))
/// }
/// ```
///
/// Values are JSON as hyperdb's `json` encoding writes it, unless another encoding is passed in.
public struct DatabaseView<Value: Sendable>: Sendable {
  /// The database.
  public let db: HyperDB
  /// The folder, without a slash at its end; empty for the whole database.
  public let folder: String
  /// The encoding of the values.
  public let encoding: DatabaseEncoding<Value>

  /// Returns the nodes of a key as a value or a conflict.
  ///
  /// - Parameter key: relative to ``folder``.
  /// - Parameter timeout: the longest wait if nothing is here yet; nil for the database's option.
  /// - Throws: ``HyperDBError``, among them `value` if the stored value is of another type.
  public func get(_ key: String, timeout: Duration? = nil) async throws -> Versioned<Value> {
    let nodes = try await db.get(
      fullKey(key), options: .init(timeout: timeout, transform: .unchanged))
    return try versioned(nodes)
  }

  /// Writes a value over everything that the key holds.
  @discardableResult
  public func put(_ key: String, _ value: Value) async throws -> DatabaseNode {
    try await db.put(fullKey(key), value, as: encoding)
  }

  /// Deletes a key.
  @discardableResult
  public func delete(_ key: String) async throws -> DatabaseNode {
    try await db.delete(fullKey(key))
  }

  /// Every key under the folder with its state, in the order of
  /// ``HyperDB/list(_:options:)-(String,_)``.
  public func all() -> DatabaseViewSequence<Value> {
    var options = ListingOptions()
    options.transform = .unchanged
    return DatabaseViewSequence(view: self, list: db.list(folder, options: options))
  }

  /// Changes anywhere in the folder, from now on.
  public func watch() async -> DatabaseChanges { await db.watch(folder) }

  /// Resolves a conflict of a key, in one step with reading it.
  ///
  /// - Parameter merge: makes one value of the revisions; nil to delete the key.
  /// - Parameter key: the key; one leading `/` is ignored.
  /// - Returns: the entry that was written; nil if there was no conflict.
  @discardableResult
  public func resolve(
    _ key: String, merge: @Sendable ([Revision<Value>]) throws -> Value?
  ) async throws -> DatabaseNode? {
    let fullKey = fullKey(key)
    return try await db.resolve(fullKey) { nodes in
      try merge(nodes.map(revision)).flatMap { try encoding.encoded($0, Array(fullKey.utf8)) }
    }
  }

  /// Returns the same folder with every conflict merged when it is read.
  ///
  /// - Parameter merge: makes one value of the revisions of a key; nil if the key has none then. It is
  ///   called at every read, so it should return the same for the same revisions in any order.
  public func merging(
    _ merge: @escaping @Sendable ([Revision<Value>]) throws -> Value?
  ) -> MergedView<Value> {
    MergedView(view: self, merge: merge)
  }

  func fullKey(_ key: String) -> String { folder.isEmpty ? key : "\(folder)/\(key)" }

  func relativeKey(_ key: [UInt8]) -> String {
    let count = folder.isEmpty ? 0 : folder.utf8.count + 1
    return String(decoding: key.dropFirst(count), as: UTF8.self)
  }

  func versioned(_ nodes: [DatabaseNode]) throws -> Versioned<Value> {
    if nodes.count > 1 { return .conflict(try nodes.map(revision)) }
    return try nodes.first.flatMap(encoding.decoded).map { .value($0) } ?? .missing
  }

  private func revision(_ node: DatabaseNode) throws -> Revision<Value> {
    Revision(value: try encoding.decoded(node), feed: node.feed, seq: node.seq)
  }
}

/// The keys and values of a ``DatabaseView``.
public struct DatabaseViewSequence<Value: Sendable>: AsyncSequence, Sendable {
  public typealias Element = (key: String, value: Versioned<Value>)

  let view: DatabaseView<Value>
  let list: DatabaseSequence<[DatabaseNode]>

  public func makeAsyncIterator() -> Iterator {
    Iterator(view: view, nodes: list.makeAsyncIterator())
  }

  /// Returns all keys and values at once.
  public func collect() async throws -> [Element] {
    var elements: [Element] = []
    for try await element in self { elements.append(element) }
    return elements
  }

  /// An iterator that goes through the sequence once.
  public struct Iterator: AsyncIteratorProtocol {
    let view: DatabaseView<Value>
    var nodes: DatabaseSequence<[DatabaseNode]>.Iterator

    /// Returns the next key, nil at the end.
    public mutating func next() async throws -> Element? {
      while let group = try await nodes.next() {
        // The folder's own key is not in the folder.
        let prefix = view.folder.isEmpty ? 0 : view.folder.utf8.count + 1
        guard let first = group.first, first.keyBytes.count >= prefix else { continue }
        return (view.relativeKey(first.keyBytes), try view.versioned(group))
      }
      return nil
    }
  }
}

/// A ``DatabaseView`` that shows one value for each key, whatever its writers did.
public struct MergedView<Value: Sendable>: Sendable {
  /// The view with conflicts.
  public let view: DatabaseView<Value>
  let merge: @Sendable ([Revision<Value>]) throws -> Value?

  /// Returns the value of a key, merged if there are several.
  public func get(_ key: String, timeout: Duration? = nil) async throws -> Value? {
    try merged(try await view.get(key, timeout: timeout))
  }

  /// Returns every key that has a value.
  public func collect() async throws -> [(key: String, value: Value)] {
    var values: [(key: String, value: Value)] = []
    for try await (key, versioned) in view.all() {
      if let value = try merged(versioned) { values.append((key, value)) }
    }
    return values
  }

  /// Writes a value over everything that the key holds.
  @discardableResult
  public func put(_ key: String, _ value: Value) async throws -> DatabaseNode {
    try await view.put(key, value)
  }

  /// Changes a value, in one step with merging what is there.
  ///
  /// - Parameter change: makes the new value from the merged one, which is nil if there is none; nil deletes.
  /// - Parameter key: the key; one leading `/` is ignored.
  @discardableResult
  public func update(
    _ key: String, _ change: @Sendable (Value?) throws -> Value?
  ) async throws -> DatabaseNode {
    let fullKey = view.fullKey(key)
    return try await view.db.update(fullKey) { nodes in
      let value = try change(try merged(view.versioned(nodes)))
      return try value.flatMap { try view.encoding.encoded($0, Array(fullKey.utf8)) }
    }
  }

  /// Deletes a key.
  @discardableResult
  public func delete(_ key: String) async throws -> DatabaseNode { try await view.delete(key) }

  /// Writes the merged value over a conflict; returns nil if there was none.
  @discardableResult
  public func settle(_ key: String) async throws -> DatabaseNode? {
    try await view.resolve(key, merge: merge)
  }

  private func merged(_ versioned: Versioned<Value>) throws -> Value? {
    switch versioned {
    case .missing: nil
    case .value(let value): value
    case .conflict(let revisions): try merge(revisions)
    }
  }
}

extension HyperDB {
  /// Returns a view of a folder in which every value is JSON of one type.
  ///
  /// - Parameter folder: a key such as `people`, the parent of the view's keys.
  /// - Parameter type: the type of the values.
  public nonisolated func view<Value: Codable & Sendable & SendableMetatype>(
    of type: Value.Type, under folder: String = ""
  ) -> DatabaseView<Value> {
    view(as: .json(type), under: folder)
  }

  /// Returns a view of a folder in which every value has one encoding.
  public nonisolated func view<Value: Sendable>(
    as encoding: DatabaseEncoding<Value>, under folder: String = ""
  ) -> DatabaseView<Value> {
    var folder = folder[...]
    if folder.utf8.first == UInt8(ascii: "/") { folder = folder.dropFirst() }
    if folder.utf8.last == UInt8(ascii: "/") { folder = folder.dropLast() }
    return DatabaseView(db: self, folder: String(folder), encoding: encoding)
  }
}
