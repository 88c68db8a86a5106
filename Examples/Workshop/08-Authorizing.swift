import HyperDB
import HypercoreCrypto

// Exercise 8: let others write. A writer lists the keys of those who may, in its own feed.

extension Chat {
  /// Lets the feed of a key write in this room; nothing is written for one that may already.
  ///
  /// - Returns: `AUTHORIZED`, as the exercise wants it.
  @discardableResult
  public func authorize(_ key: PublicKey) async throws -> String {
    if await !db.isAuthorized(key) { try await db.authorize(key) }
    return "AUTHORIZED"
  }
}
