internal import HypercoreCrypto

/// The two nonces from which a connection's ciphers start. They are new for each connection; each side
/// chooses one.
package struct ConnectionNonces: Hashable, Sendable {
  var own: Nonce
  var remote: Nonce
}

/// The messages of the one extension that this project adds to the protocol. With them a peer proves that it
/// holds a key, and which of its connections are its own. A peer of the reference ignores them.
///
/// ```
/// 1 | mark, 32 bytes                     this connection's peer is also that of another connection
/// 2 | key, 32 bytes | signature, 64      the sender of this holds the key
/// ```
///
/// A mark is a hash of the nonces of both connections, the sender's first. Only a peer that received our
/// nonce on the other connection can make it; it is valid for no third connection, and sent back it is no
/// mark. A signature covers the nonces of its connection, the signer's first, the connection's feed and a
/// hash of the signer's user data, so a recording, or a signature relayed from another connection, proves
/// nothing. A relay that forwards a whole connection unchanged forwards its proofs as well.
enum PeerProof: Equatable {
  case mark(Digest)
  case key(PublicKey, Signature)

  static let extensionName = "dat-swift/proof"

  /// The most messages of one connection that are read; a working peer sends one proof, and a mark for each
  /// of its other connections.
  static let limit = 32

  init?(_ payload: [UInt8]) {
    switch (payload.first, payload.count) {
    case (1, 33):
      guard let mark = Digest(bytes: payload[1...]) else { return nil }
      self = .mark(mark)
    case (2, 97):
      guard let key = PublicKey(bytes: payload[1..<33]),
        let signature = Signature(bytes: payload[33...])
      else { return nil }
      self = .key(key, signature)
    default: return nil
    }
  }

  var payload: [UInt8] {
    switch self {
    case .mark(let mark): [1] + mark.bytes
    case .key(let key, let signature): [2] + key.bytes + signature.bytes
    }
  }

  // MARK: Marks

  /// The mark that is sent on one connection about another or, with the nonces exchanged, received.
  private static func mark(
    of other: (sender: Nonce, receiver: Nonce), on this: (sender: Nonce, receiver: Nonce)
  ) -> Digest {
    TreeHash.leaf(
      Array("dat-swift/proof mark".utf8) + other.sender.bytes + other.receiver.bytes
        + this.sender.bytes + this.receiver.bytes)
  }

  static func sentMark(of other: ConnectionNonces, on this: ConnectionNonces) -> Digest {
    mark(of: (other.own, other.remote), on: (this.own, this.remote))
  }

  static func expectedMark(of other: ConnectionNonces, on this: ConnectionNonces) -> Digest {
    mark(of: (other.remote, other.own), on: (this.remote, this.own))
  }

  // MARK: Keys

  private static func statement(
    _ feed: DiscoveryKey, signer: Nonce, verifier: Nonce, userData: [UInt8]?
  ) -> [UInt8] {
    Array("dat-swift/proof key".utf8) + feed.bytes + signer.bytes + verifier.bytes
      + TreeHash.leaf(userData ?? []).bytes
  }

  static func key(
    _ pair: KeyPair, _ feed: DiscoveryKey, _ nonces: ConnectionNonces, userData: [UInt8]?
  ) -> PeerProof {
    let statement = statement(
      feed, signer: nonces.own, verifier: nonces.remote, userData: userData)
    return .key(pair.publicKey, pair.secretKey.sign(statement))
  }

  static func verifies(
    _ key: PublicKey, _ signature: Signature, _ feed: DiscoveryKey, _ nonces: ConnectionNonces,
    userData: [UInt8]?
  ) -> Bool {
    key.verifies(
      signature,
      of: statement(feed, signer: nonces.remote, verifier: nonces.own, userData: userData))
  }
}
