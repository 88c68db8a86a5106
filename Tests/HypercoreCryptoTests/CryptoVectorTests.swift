import DatTesting
import HypercoreCrypto
import Testing

private struct Vectors: Decodable {
  struct Key: Decodable {
    var seed: String
    var publicKey: String
    var secretKey: String
    var discoveryKey: String
    var message: String
    var signature: String
    var contentFeedPublicKey: String
  }
  struct Leaf: Decodable {
    var data: String
    var size: UInt64
    var leafHash: String
  }
  struct NodeVector: Decodable {
    var index: UInt64
    var hash: String
    var size: UInt64

    func node() throws -> Node {
      Node(index: index, hash: try #require(Digest(hex: hash)), size: size)
    }
  }
  struct Parent: Decodable {
    var left: NodeVector
    var right: NodeVector
    var hash: String
    var size: UInt64
  }
  struct Roots: Decodable {
    var roots: [NodeVector]
    var hash: String
  }
  var keys: [Key]
  var leaves: [Leaf]
  var parent: Parent
  var roots: [Roots]
}

@Suite struct CryptoVectorTests {
  private let vectors: Vectors

  init() throws { vectors = try Fixtures.json("vectors/crypto.json") }

  @Test func `a seed gives the recorded key pair and discovery key`() throws {
    try #require(!vectors.keys.isEmpty)
    for vector in vectors.keys {
      let pair = try #require(KeyPair(seed: [UInt8](hex: vector.seed)))
      #expect(pair.publicKey.hex == vector.publicKey)
      #expect(pair.secretKey.hex == vector.secretKey)
      #expect(pair.secretKey.publicKey == pair.publicKey)
      #expect(pair.publicKey.discoveryKey.hex == vector.discoveryKey)
      #expect(pair.isValid)
    }
  }

  @Test func `a key pair gives the recorded content feed`() throws {
    for vector in vectors.keys {
      let secret = try #require(SecretKey(hex: vector.secretKey))
      let content = KeyPair.contentFeed(of: secret)
      #expect(content.publicKey.hex == vector.contentFeedPublicKey)
      #expect(content.isValid)
    }
  }

  @Test func `a message has the recorded signature, which verifies under that key only`() throws {
    for (place, vector) in vectors.keys.enumerated() {
      let secret = try #require(SecretKey(hex: vector.secretKey))
      let message = [UInt8](hex: vector.message)
      let signature = try #require(Signature(hex: vector.signature))
      #expect(secret.sign(message) == signature)
      #expect(secret.publicKey.verifies(signature, of: message))
      #expect(!secret.publicKey.verifies(signature, of: message + [0]))

      var forged = signature
      forged.withUnsafeMutableBytes { $0[place % $0.count] ^= 1 }
      #expect(!secret.publicKey.verifies(forged, of: message))

      let other = try #require(
        PublicKey(hex: vectors.keys[(place + 1) % vectors.keys.count].publicKey))
      if other != secret.publicKey { #expect(!other.verifies(signature, of: message)) }
    }
  }

  @Test func `a block has the recorded hash, in one call or in parts`() {
    for vector in vectors.leaves {
      let block = [UInt8](hex: vector.data)
      #expect(UInt64(block.count) == vector.size)
      #expect(TreeHash.leaf(block).hex == vector.leafHash)
    }
  }

  @Test(arguments: [
    [], [7], [3, 0, 5], [300_000], [200_000, 1, 0, 300_000], Array(repeating: 9000, count: 100),
  ])
  func `blocks hashed together have the hashes they have alone`(sizes: [Int]) {
    let blocks = sizes.enumerated().map { place, size in
      [UInt8](repeating: UInt8(truncatingIfNeeded: place), count: size)
    }
    #expect(TreeHash.leaves(blocks) == blocks.map { TreeHash.leaf($0) })
  }

  @Test func `two nodes have the recorded parent`() throws {
    let left = try vectors.parent.left.node()
    let right = try vectors.parent.right.node()
    #expect(TreeHash.parent(left, right).hex == vectors.parent.hash)
    #expect(left.size + right.size == vectors.parent.size)
  }

  @Test func `roots have the recorded hash`() throws {
    for vector in vectors.roots {
      #expect(try TreeHash.tree(vector.roots.map { try $0.node() }).hex == vector.hash)
    }
  }
}

@Suite struct FixedBytesTests {
  @Test func `only bytes of the right number become a key`() {
    #expect(PublicKey(bytes: [UInt8](repeating: 1, count: 31)) == nil)
    #expect(PublicKey(bytes: [UInt8](repeating: 1, count: 33)) == nil)
    #expect(Signature(bytes: [UInt8](repeating: 1, count: 32)) == nil)
    #expect(PublicKey(hex: String(repeating: "g", count: 64)) == nil)
    #expect(Nonce(bytes: [UInt8](repeating: 1, count: 23)) == nil)
    #expect(KeyPair(seed: [UInt8](repeating: 1, count: 31)) == nil)
    #expect(PublicKey().isZero)
  }

  @Test func `a secret key is not printed`() throws {
    let pair = try #require(KeyPair(seed: [UInt8](repeating: 7, count: 32)))
    #expect(!"\(pair.secretKey)".contains(pair.secretKey.hex.prefix(16)))
  }

  @Test func `a pair whose halves differ is not valid`() throws {
    let one = try #require(KeyPair(seed: [UInt8](repeating: 1, count: 32)))
    let two = try #require(KeyPair(seed: [UInt8](repeating: 2, count: 32)))
    #expect(!KeyPair(publicKey: one.publicKey, secretKey: two.secretKey).isValid)
  }
}
