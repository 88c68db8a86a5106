public import HypercoreCrypto

/// A proof that a block belongs to a feed: the nodes that lead from it to a trusted one and, if
/// they lead to the roots, the signature over those.
public struct Proof: Hashable, Sendable {
  /// The nodes in the order of the climb. A hash-only proof starts with the block's own node.
  public var nodes: [Node]
  /// The signature over the roots in ``nodes``; nil if the proof ends at a node that the other side
  /// knows, or if the feed is static.
  public var signature: Signature?

  /// Creates a proof from its parts, unchecked until it is used.
  public init(nodes: [Node] = [], signature: Signature? = nil) {
    self.nodes = nodes
    self.signature = signature
  }
}

/// The roots of a feed at one length, as its key signed them.
public struct SignedRoots: Hashable, Sendable {
  /// The number of blocks that they cover.
  public var length: UInt64
  /// The full roots of that length, ascending.
  public var roots: [Node]
  /// The signature over their tree hash.
  public var signature: Signature

  /// Creates signed roots from their parts, unchecked.
  public init(length: UInt64, roots: [Node], signature: Signature) {
    self.length = length
    self.roots = roots
    self.signature = signature
  }

  /// Returns whether the key signed these roots.
  public func isValid(under key: PublicKey) -> Bool {
    key.verifies(signature, of: TreeHash.tree(roots))
  }
}
