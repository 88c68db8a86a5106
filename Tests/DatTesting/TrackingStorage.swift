public import RandomAccessStorage

/// A storage that records every call before it forwards it, to check which reads and writes an
/// operation costs.
public final class TrackingStorage: StorageProvider {
  /// One call.
  public struct Call: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
      case read, write, length, delete, truncate, sync, close
    }

    public let kind: Kind
    /// The file's name.
    public let name: String
    /// The ranges of bytes: one for a read, one for each piece of a write, none for other calls.
    public let ranges: [Range<UInt64>]
  }

  private let wrapped: any StorageProvider
  private let log = Guarded<[Call]>([])

  public init(_ wrapped: any StorageProvider = MemoryStorage()) { self.wrapped = wrapped }

  /// The calls since the start or the last ``reset()``, in order.
  public var calls: [Call] { log.with { $0 } }

  /// The calls of one kind to files whose names end like this.
  public func calls(_ kind: Call.Kind, _ nameEnd: String = "") -> [Call] {
    calls.filter { $0.kind == kind && (nameEnd.isEmpty || $0.name.hasSuffix(nameEnd)) }
  }

  /// Drops the calls so far.
  public func reset() { log.with { $0 = [] } }

  public var access: StorageAccess { wrapped.access }

  public func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    let log = log
    return ObservedFile(name, try wrapped.storage(named: name)) { call in
      log.with { $0.append(call) }
      return nil
    }
  }

  public func lock(_ name: String) throws(StorageError) -> (any StorageLock)? {
    try wrapped.lock(name)
  }

  public func space() throws(StorageError) -> StorageSpace? { try wrapped.space() }

  public func remove(_ name: String) throws(StorageError) { try wrapped.remove(name) }

  public func exists(_ name: String) throws(StorageError) -> Bool { try wrapped.exists(name) }
}
