public import RandomAccessStorage

/// A storage whose n-th call fails.
public final class FaultyStorage: StorageProvider {
  private struct State {
    var calls = 0
    var plan: Plan?
  }

  /// A plan of what fails, and how.
  public struct Plan: Sendable {
    /// The number of the call that fails: 0 is the next one that counts.
    public var call: Int
    public var error: StorageError
    /// The kinds of calls that count.
    public var kinds: Set<TrackingStorage.Call.Kind>
    /// True if all later calls of these kinds fail too.
    public var forEver: Bool
    /// True if a write that fails leaves its first half written.
    public var tears: Bool

    public init(
      call: Int, error: StorageError = FaultyStorage.full,
      kinds: Set<TrackingStorage.Call.Kind> = [.read, .write, .length, .delete, .truncate, .sync],
      forEver: Bool = false, tears: Bool = false
    ) {
      self.call = call
      self.error = error
      self.kinds = kinds
      self.forEver = forEver
      self.tears = tears
    }
  }

  /// The error of a full disk.
  public static let full = StorageError(
    code: .full, path: "faulty", operation: "write", errno: 28, reason: "The test's disk is full.")

  private let wrapped: any StorageProvider
  private let state: Guarded<State>

  public init(_ wrapped: any StorageProvider = MemoryStorage(), plan: Plan? = nil) {
    self.wrapped = wrapped
    state = Guarded(State(plan: plan))
  }

  /// Sets the next failure; nil for none. The count starts again.
  public func fail(_ plan: Plan?) { state.with { $0 = State(plan: plan) } }

  /// The number of calls of the plan's kinds since it was set; of all kinds without one.
  public var callCount: Int { state.with { $0.calls } }

  public var access: StorageAccess { wrapped.access }

  public func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    let state = state
    let file = try wrapped.storage(named: name)
    return ObservedFile(name, file) { call in
      let plan = state.with { state -> Plan? in
        if call.kind == .close { return nil }
        guard let plan = state.plan else {
          state.calls += 1
          return nil
        }
        guard plan.kinds.contains(call.kind) else { return nil }
        defer { state.calls += 1 }
        return state.calls == plan.call || (plan.forEver && state.calls > plan.call) ? plan : nil
      }
      return plan.map { Fault(error: $0.error, tears: $0.tears) }
    }
  }

  public func lock(_ name: String) throws(StorageError) -> (any StorageLock)? {
    try wrapped.lock(name)
  }

  public func space() throws(StorageError) -> StorageSpace? { try wrapped.space() }

  public func remove(_ name: String) throws(StorageError) { try wrapped.remove(name) }

  public func exists(_ name: String) throws(StorageError) -> Bool { try wrapped.exists(name) }
}
