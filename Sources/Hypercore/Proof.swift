public import HypercoreCrypto

/// What proves that a block belongs to a feed: the nodes that lead from it to a trusted one, and
/// where those lead to the roots, the signature over them.
public struct Proof: Hashable, Sendable {
  /// In the order in which they are climbed. A hash-only proof starts with the block's own node.
  public var nodes: [Node]
  /// Signs the length that the roots in ``nodes`` cover; nil where the proof ends at a node that the
  /// other side knows, or the feed is static.
  public var signature: Signature?

  /// A proof of these parts, unchecked until it is used.
  public init(nodes: [Node] = [], signature: Signature? = nil) {
    self.nodes = nodes
    self.signature = signature
  }
}

/// A length of a feed as its key signed it.
public struct SignedRoots: Hashable, Sendable {
  /// How many blocks it covers.
  public var length: UInt64
  /// The full roots of that length, ascending.
  public var roots: [Node]
  /// The signature over their tree hash.
  public var signature: Signature

  /// Signed roots of these parts, unchecked.
  public init(length: UInt64, roots: [Node], signature: Signature) {
    self.length = length
    self.roots = roots
    self.signature = signature
  }

  /// Whether the key signed these roots.
  public func isValid(under key: PublicKey) -> Bool {
    key.verifies(signature, of: TreeHash.tree(roots))
  }
}
