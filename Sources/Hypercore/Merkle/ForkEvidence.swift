internal import DatCoding
internal import Foundation
public import HypercoreCrypto

/// Two histories signed by one key: proof that its owner, or a copy of its secret key, wrote twice.
///
/// Kept beside the feed as `fork.json`, encoded by its `Codable` conformance: hashes, keys and signatures as
/// hex. Anybody who has it can check it with ``isProven``, without the feed.
public struct ForkEvidence: Hashable, Sendable {
  /// The feed's key.
  public var key: PublicKey
  /// The node at which the two differ: a root of both, or a node on the way from ``block``.
  public var node: UInt64
  /// The block whose proof revealed the fork.
  public var block: UInt64
  /// The roots that are stored here; nil if no signature for them is stored.
  public var ours: SignedRoots?
  /// The nodes that lead from our ``block`` to our roots, its own first; empty if it is not here.
  public var ourProof: [Node]
  /// The roots that the peer sent.
  public var theirs: SignedRoots
  /// The nodes that lead from their ``block`` to their roots, its own first.
  public var theirProof: [Node]

  /// Creates evidence from its parts, unchecked.
  public init(
    key: PublicKey, node: UInt64, block: UInt64, ours: SignedRoots?, ourProof: [Node],
    theirs: SignedRoots, theirProof: [Node]
  ) {
    self.key = key
    self.node = node
    self.block = block
    self.ours = ours
    self.ourProof = ourProof
    self.theirs = theirs
    self.theirProof = theirProof
  }
}

extension ForkEvidence {
  /// True if it is a valid proof: both signatures are the key's, and the nodes under them differ.
  public var isProven: Bool {
    guard let ours, ours.isValid(under: key), theirs.isValid(under: key) else { return false }
    let other = nodes(of: theirProof, under: theirs.roots)
    return nodes(of: ourProof, under: ours.roots).contains { index, hash in
      other[index].map { $0 != hash } ?? false
    }
  }

  /// The least number of blocks that the two histories have in common, as far as the evidence shows.
  public var commonLength: UInt64 {
    guard let ours else { return 0 }
    let one = nodes(of: ourProof, under: ours.roots)
    let other = nodes(of: theirProof, under: theirs.roots)
    var spans: [UInt64: UInt64] = [:]
    for (index, hash) in one where index < 2 * FeedLimits.maximumLength && other[index] == hash {
      let start = FlatTree.leftSpan(index) / 2
      spans[start] = max(spans[start] ?? 0, FlatTree.rightSpan(index) / 2 + 1)
    }
    var length: UInt64 = 0
    while let end = spans[length] { length = end }
    return length
  }

  /// True if it shows the first block that differs.
  var isExact: Bool { block == commonLength }

  /// The roots, and the nodes that a proof of ``block`` proves by leading to one of them.
  private func nodes(of proof: [Node], under roots: [Node]) -> [UInt64: Digest] {
    var proven: [UInt64: Digest] = [:]
    for root in roots { proven[root.index] = root.hash }
    let sent = Dictionary(proof.map { ($0.index, $0) }) { first, _ in first }
    guard block < FeedLimits.maximumLength, var top = sent[2 * block] else { return proven }
    var path: [Node] = [top]
    while FlatTree.depth(top.index) < 40 {
      if let root = proven[top.index] {
        guard root == top.hash else { return proven }
        for node in path { proven[node.index] = node.hash }
        return proven
      }
      guard let sibling = sent[FlatTree.sibling(top.index)] else { return proven }
      let (size, overflow) = top.size.addingReportingOverflow(sibling.size)
      guard !overflow else { return proven }
      let hash =
        FlatTree.isRight(top.index)
        ? TreeHash.parent(sibling, top) : TreeHash.parent(top, sibling)
      top = Node(index: FlatTree.parent(top.index), hash: hash, size: size)
      path += [sibling, top]
    }
    return proven
  }
}

// MARK: As text

extension ForkEvidence: Codable {
  /// The extension by which peers notify each other of a fork. Its message is the content of the file; a line
  /// feed is not needed. Sent only to peers that announce it, and checked like the file.
  static let extensionName = "dat-swift/fork"

  /// The largest file of evidence that is read: two proofs and two sets of roots take a tenth of it.
  static let maximumFileSize: UInt64 = 256 << 10

  private struct NodeText: Codable {
    var index: UInt64
    var hash: String
    var size: UInt64

    init(_ node: Node) { (index, hash, size) = (node.index, node.hash.hex, node.size) }

    func node() throws -> Node {
      Node(index: index, hash: try ForkEvidence.bytes(hash), size: size)
    }
  }

  private struct RootsText: Codable {
    var length: UInt64
    var roots: [NodeText]
    var signature: String

    init(_ signed: SignedRoots) {
      length = signed.length
      roots = signed.roots.map(NodeText.init)
      signature = signed.signature.hex
    }

    func signed() throws -> SignedRoots {
      SignedRoots(
        length: length, roots: try roots.map { try $0.node() },
        signature: try ForkEvidence.bytes(signature))
    }
  }

  private struct Text: Codable {
    var key: String
    var node: UInt64
    var block: UInt64
    var ours: RootsText?
    var ourProof: [NodeText]
    var theirs: RootsText
    var theirProof: [NodeText]
  }

  private static func bytes<Value: FixedBytes>(_ hex: String) throws -> Value {
    guard let value = Value(hex: hex) else {
      throw FeedError.damaged("\(hex) is not \(Value.byteCount) bytes as hex digits.")
    }
    return value
  }

  public init(from decoder: any Decoder) throws {
    let text = try Text(from: decoder)
    self.init(
      key: try Self.bytes(text.key), node: text.node, block: text.block,
      ours: try text.ours?.signed(), ourProof: try text.ourProof.map { try $0.node() },
      theirs: try text.theirs.signed(), theirProof: try text.theirProof.map { try $0.node() })
  }

  public func encode(to encoder: any Encoder) throws {
    try Text(
      key: key.hex, node: node, block: block, ours: ours.map(RootsText.init),
      ourProof: ourProof.map(NodeText.init), theirs: RootsText(theirs),
      theirProof: theirProof.map(NodeText.init)
    ).encode(to: encoder)
  }

  /// The content of the file.
  func fileBytes() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
  }

  /// Nil if the bytes are not such a file, or an incomplete one.
  init?(fileBytes: [UInt8]) {
    guard let evidence = try? JSONText.decode(Self.self, from: fileBytes) else { return nil }
    self = evidence
  }
}
