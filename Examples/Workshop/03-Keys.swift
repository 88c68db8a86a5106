import Hypercore
import HypercoreCrypto

// Exercise 3: keys. The public key names a feed and lets one read it; the discovery key, a hash of it,
// is what peers find each other by; the secret key, which a reader never has, is what it takes to write.

/// The keys of a feed that somebody else writes.
public struct Keys: Hashable, Sendable {
  public var publicKey: String
  public var discoveryKey: String
}

/// Opens the feed of a public key in memory and gives its keys in hex; nil for what is no key.
public func keys(of publicKey: String) async throws -> Keys? {
  guard let key = PublicKey(hex: publicKey) else { return nil }
  let feed = try await Feed.inMemory(options: .init(key: key))
  guard let key = feed.key, let discoveryKey = feed.discoveryKey else { return nil }
  return Keys(publicKey: key.hex, discoveryKey: discoveryKey.hex)
}
