import Hypercore
import HypercoreCrypto

// Exercise 3: keys. The public key names a feed and lets a peer read it. Peers find each other by the discovery
// key, a hash of it. Writing takes the secret key, which a reader never has.

/// The keys of a feed that another peer writes.
public struct Keys: Hashable, Sendable {
  public var publicKey: String
  public var discoveryKey: String
}

/// Opens the feed of a public key in memory and returns its keys in hex; nil if the text is no key.
public func keys(of publicKey: String) async throws -> Keys? {
  guard let key = PublicKey(hex: publicKey) else { return nil }
  let feed = try await Feed.inMemory(options: .init(key: key))
  guard let key = feed.key, let discoveryKey = feed.discoveryKey else { return nil }
  return Keys(publicKey: key.hex, discoveryKey: discoveryKey.hex)
}
