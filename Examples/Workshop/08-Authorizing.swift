import HyperDB
import HypercoreCrypto

// Exercise 8: let others write. A writer lists the keys of the authorized feeds in its own feed.

extension Chat {
  /// Authorizes the feed of a key to write in this room; nothing is written if it already is.
  ///
  /// - Returns: `AUTHORIZED`, as the exercise requires.
  @discardableResult
  public func authorize(_ key: PublicKey) async throws -> String {
    if await !db.isAuthorized(key) { try await db.authorize(key) }
    return "AUTHORIZED"
  }
}
