internal import Dispatch
public import RandomAccessStorage

/// A storage whose writes can be blocked, to test what happens meanwhile.
public final class GatedStorage: StorageProvider {
  private let wrapped: any StorageProvider
  private let isShut = Guarded(false)
  private let gate = DispatchSemaphore(value: 0)
  private let arrival = DispatchSemaphore(value: 0)

  public init(_ wrapped: any StorageProvider = MemoryStorage()) { self.wrapped = wrapped }

  /// Makes the next write wait for ``release()``, blocking its thread.
  public func holdNextWrite() { isShut.with { $0 = true } }

  /// Lets the waiting write continue.
  public func release() { gate.signal() }

  /// Returns once a write waits.
  public func arrived() async {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async { [arrival] in
        arrival.wait()
        continuation.resume()
      }
    }
  }

  public var access: StorageAccess { wrapped.access }

  public func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    ObservedFile(name, try wrapped.storage(named: name)) { [isShut, gate, arrival] call in
      let waits = isShut.with { isShut in
        defer { if call.kind == .write { isShut = false } }
        return isShut && call.kind == .write
      }
      if waits {
        arrival.signal()
        gate.wait()
      }
      return nil
    }
  }

  public func lock(_ name: String) throws(StorageError) -> (any StorageLock)? {
    try wrapped.lock(name)
  }

  public func exists(_ name: String) throws(StorageError) -> Bool { try wrapped.exists(name) }
}
