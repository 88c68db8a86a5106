internal import Foundation

/// A value for use by several threads, one at a time.
///
/// `@unchecked Sendable`: the value is reached only through `with`, which holds the lock.
final class Guarded<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value

  init(_ value: Value) { self.value = value }

  func with<Result>(_ body: (inout Value) -> Result) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return body(&value)
  }
}
