internal import HypercoreCrypto

/// The nonces of a replica's newest connections. Each connection has a new one, so a known nonce means that
/// somebody replays a recorded connection. The attacker can't read the answers, but the recording would be
/// taken for a peer that joins.
package final class NonceMemory {
  private var known: Set<Nonce> = []
  private var order: [Nonce] = []
  private var next = 0
  /// The number of nonces that are kept, in about 200 KB.
  private static let limit = 4096

  package init() {}

  /// - Returns: true if the nonce is new.
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
