import DatCoding
import DatTesting
import Foundation
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

/// A feed as described in `feeds/manifest.json`.
struct RecordedFeed: Decodable, CustomTestStringConvertible, Sendable {
  struct RecordedNode: Decodable {
    var index: UInt64
    var hash: String
    var size: UInt64
    var node: Node { Node(index: index, hash: Digest(hex: hash)!, size: size) }
  }
  struct RecordedSignature: Decodable {
    var index: UInt64
    var signature: String
  }
  struct RecordedProof: Decodable {
    var index: UInt64
    var digest: UInt64
    var hash: Bool
    var nodes: [RecordedNode]
    var signature: String?
  }
  struct RecordedSeek: Decodable {
    var bytes: UInt64
    var index: UInt64?
    var offset: UInt64?
    var error: String?
  }

  var name: String
  var key: String
  var secretKey: String?
  var discoveryKey: String
  var length: UInt64
  var byteLength: UInt64
  var live: Bool
  var writable: Bool
  var downloaded: UInt64
  var bitfieldHave: String
  /// The blocks; nil if not stored.
  var blocks: [String?]
  /// `base64`, or a name for what the manifest has instead of the blocks.
  var blocksAre: String
  var valueEncoding: String
  var roots: [RecordedNode]?
  var treeHash: String?
  var signature: RecordedSignature?
  var proofs: [RecordedProof]?
  var digests: [UInt64]?
  var seeks: [RecordedSeek]?
  var replicaOf: String?

  var testDescription: String { name }
  var folder: String { "feeds/\(name)" }
  var publicKey: PublicKey { PublicKey(hex: key)! }

  /// The blocks, nil if not stored; nil as a whole if the manifest has only their hashes.
  var blockBytes: [[UInt8]?]? {
    guard blocksAre == "base64" else { return nil }
    return blocks.map { $0.map { Array(Data(base64Encoded: $0)!) } }
  }

  static let all: [RecordedFeed] = try! Fixtures.json("feeds/manifest.json")

  /// The feeds that were written from first to last, which are no replicas.
  static var written: [RecordedFeed] { all.filter { $0.replicaOf == nil } }
}

/// Opens a copy of a recorded feed.
struct OpenedCopy {
  let folder: TemporaryFolder
  let core: FeedCore

  init(_ feed: RecordedFeed, access: StorageAccess = .readWrite) throws {
    folder = try TemporaryFolder(copyOf: feed.folder)
    core = try FeedCore.open(in: FolderStorage(path: folder.path, access: access))
  }
}

/// The bytes of the files in a folder, by name.
func contents(of folder: TemporaryFolder) throws -> [String: [UInt8]] {
  var files: [String: [UInt8]] = [:]
  for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
    files[name] = Array(try Data(contentsOf: folder.url.appendingPathComponent(name)))
  }
  return files
}

let feedFileNames = ["key", "secret_key", "tree", "data", "bitfield", "signatures"]

/// The bytes of one file of a storage.
func bytes(of name: String, in provider: any StorageProvider) throws -> [UInt8] {
  let storage = try provider.storage(named: name)
  let count = Int(try storage.length())
  var bytes = [UInt8](repeating: 0, count: count)
  _ = try bytes.withUnsafeMutableBytes { (buffer) throws(StorageError) in
    try storage.read(at: 0, into: buffer)
  }
  return bytes
}

/// The bytes of all files of a storage.
func snapshot(_ provider: any StorageProvider) throws -> [String: [UInt8]] {
  var files: [String: [UInt8]] = [:]
  for name in feedFileNames { files[name] = try bytes(of: name, in: provider) }
  return files
}
