import DatTesting
import HypercoreCrypto
import RandomAccessStorage

@testable import Hypercore

/// A different key pair for each number.
func keyPair(_ number: UInt8) -> KeyPair {
  KeyPair(seed: [UInt8](repeating: number, count: 32))!
}

/// A feed in memory with blocks of random sizes, appended in random batches.
func makeFeed(
  _ count: Int, in storage: any StorageProvider = MemoryStorage(), pair: KeyPair = keyPair(1),
  random: inout SeededRandom
) throws -> FeedCore {
  let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: pair))
  while core.length < UInt64(count) {
    let size = min(Int.random(in: 1...7, using: &random), count - Int(core.length))
    try core.append((0..<size).map { _ in random.bytes(Int.random(in: 0...20, using: &random)) })
  }
  return core
}

/// Fetches one block, or its hash, from `server` as a peer would.
@discardableResult
func fetch(
  _ block: UInt64, from server: FeedCore, into client: FeedCore, remote: RemoteTree? = nil,
  hash: Bool = false, digest: UInt64? = nil
) throws -> PutResult {
  let proof = try server.proof(
    block, digest: digest ?? client.digest(block), hash: hash, remoteTree: remote)
  return try client.put(
    block, value: hash ? nil : try server.block(at: block), nodes: proof.nodes,
    signature: proof.signature)
}
