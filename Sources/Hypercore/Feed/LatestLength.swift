internal import Foundation

/// The length of a feed, for readers outside of its executor.
///
/// Unchecked with this proof: `length` is accessed under the lock only.
final class LatestLength: @unchecked Sendable {
  private let lock = NSLock()
  private var length: UInt64 = 0

  var value: UInt64 { lock.withLock { length } }

  func set(_ length: UInt64) { lock.withLock { self.length = length } }
}
