internal import HypercoreCrypto

/// The nonces of a replica's newest connections. Each connection has a new one, so one that is here
/// already is a recording that somebody plays again: he can't read what is answered, but what he plays
/// would be taken for a join.
package final class NonceMemory {
  private var known: Set<Nonce> = []
  private var order: [Nonce] = []
  private var next = 0
  /// So many are remembered, in about 200 KB.
  private static let limit = 4096

  package init() {}

  /// - Returns: whether it is new.
  func insert(_ nonce: Nonce) -> Bool {
    guard known.insert(nonce).inserted else { return false }
    if order.count < Self.limit {
      order.append(nonce)
    } else {
      known.remove(order[next])
      order[next] = nonce
      next = (next + 1) % Self.limit
    }
    return true
  }
}
