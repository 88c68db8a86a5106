/// Counts the bytes that one connection makes us keep, whatever for, up to
/// ``ReplicationLimits/connectionBytes``.
final class PeerMemory {
  private(set) var left: Int

  init(_ bytes: Int = ReplicationLimits.connectionBytes) { left = bytes }

  /// - Returns: whether there is as much; nothing is taken where there is not.
  func take(_ bytes: Int) -> Bool {
    guard bytes <= left else { return false }
    left -= bytes
    return true
  }

  func give(_ bytes: Int) { left += bytes }
}
