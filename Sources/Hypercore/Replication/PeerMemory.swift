/// A count of the bytes that one connection makes this side keep, for any purpose, up to
/// ``ReplicationLimits/connectionBytes``.
final class PeerMemory {
  private(set) var left: Int

  init(_ bytes: Int = ReplicationLimits.connectionBytes) { left = bytes }

  /// - Returns: true if there is enough; if not, nothing is taken.
  func take(_ bytes: Int) -> Bool {
    guard bytes <= left else { return false }
    left -= bytes
    return true
  }

  func give(_ bytes: Int) { left += bytes }
}
