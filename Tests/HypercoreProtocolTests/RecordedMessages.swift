import DatCoding
import DatTesting
import Foundation
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// A message in the recordings' format: bytes as `hex:…`, absent fields missing or null.
struct RecordedFields: Decodable {
  var discoveryKey: [UInt8]?
  var nonce: [UInt8]?
  var id: [UInt8]?
  var live: Bool?
  var userData: [UInt8]?
  var extensions: [String]?
  var ack: Bool?
  var uploading: Bool?
  var downloading: Bool?
  var start: UInt64?
  var length: UInt64?
  var bitfield: [UInt8]?
  var index: UInt64?
  var bytes: UInt64?
  var hash: Bool?
  /// A Request's digest.
  var digest: UInt64?
  /// A Data's nodes.
  var nodes: [Node]?
  var value: [UInt8]?
  var signature: [UInt8]?

  private enum Key: String, CodingKey {
    case discoveryKey, nonce, id, live, userData, extensions, ack, uploading, downloading, start
    case length, bitfield, index, bytes, hash, nodes, value, signature
  }

  private struct RecordedNode: Decodable {
    var index: UInt64
    var hash: String
    var size: UInt64
  }

  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    func bytes(_ key: Key) throws -> [UInt8]? {
      try fields.decodeIfPresent(String.self, forKey: key).map { try unprefixed($0) }
    }
    discoveryKey = try bytes(.discoveryKey)
    nonce = try bytes(.nonce)
    id = try bytes(.id)
    live = try fields.decodeIfPresent(Bool.self, forKey: .live)
    userData = try bytes(.userData)
    extensions = try fields.decodeIfPresent([String].self, forKey: .extensions)
    ack = try fields.decodeIfPresent(Bool.self, forKey: .ack)
    uploading = try fields.decodeIfPresent(Bool.self, forKey: .uploading)
    downloading = try fields.decodeIfPresent(Bool.self, forKey: .downloading)
    start = try fields.decodeIfPresent(UInt64.self, forKey: .start)
    length = try fields.decodeIfPresent(UInt64.self, forKey: .length)
    bitfield = try bytes(.bitfield)
    index = try fields.decodeIfPresent(UInt64.self, forKey: .index)
    self.bytes = try fields.decodeIfPresent(UInt64.self, forKey: .bytes)
    hash = try fields.decodeIfPresent(Bool.self, forKey: .hash)
    if let digest = try? fields.decodeIfPresent(UInt64.self, forKey: .nodes) {
      self.digest = digest
    } else {
      nodes = try fields.decodeIfPresent([RecordedNode].self, forKey: .nodes)?.map {
        Node(
          index: $0.index, hash: try #require(Digest(bytes: try unprefixed($0.hash))),
          size: $0.size)
      }
    }
    value = try bytes(.value)
    signature = try bytes(.signature)
  }

  /// The message of types 2 to 9 that has these fields.
  func message(_ name: String) throws -> Message {
    switch name {
    case "Info":
      .info(uploading: try given(uploading), downloading: try given(downloading))
    case "Have":
      .have(
        start: try #require(start), length: try #require(length), bitfield: bitfield,
        ack: try given(ack))
    case "Unhave": .unhave(start: try #require(start), length: try #require(length))
    case "Want": .want(start: try #require(start), length: try #require(length))
    case "Unwant": .unwant(start: try #require(start), length: try #require(length))
    case "Request":
      .request(
        Request(
          index: try #require(index), bytes: try #require(bytes), hash: try given(hash),
          nodes: try #require(digest)))
    case "Cancel":
      .cancel(
        index: try #require(index), bytes: try #require(bytes), hash: try given(hash))
    case "Data":
      .data(
        DataMessage(
          index: try #require(index), value: value, nodes: nodes ?? [],
          signature: try signature.map { try #require(Signature(bytes: $0)) }))
    default: throw UnknownMessage(name: name)
    }
  }

  var handshake: Handshake {
    Handshake(
      id: id, live: live ?? false, userData: userData, extensions: extensions ?? [],
      ack: ack ?? false)
  }

  struct UnknownMessage: Error { var name: String }
}

/// Unwraps an optional Boolean, which `#require` alone could take for a condition.
private func given(_ value: Bool?) throws -> Bool { try #require(value as Bool?) }

private func unprefixed(_ text: String) throws -> [UInt8] {
  try #require(text.hasPrefix("hex:"))
  return [UInt8](hex: String(text.dropFirst(4)))
}

/// A recorded replication.
struct Session: Decodable {
  struct Chunk: Decodable {
    var from: String
    var bytes: Data
  }
  struct Recorded: Decodable {
    var channel: Int
    var name: String
    var message: RecordedFields?
    /// The fields of an extension message.
    var id: Int?
    var payload: String?
  }

  var key: String
  var secretKeys: [String: String]
  var encrypted: Bool?
  var chunks: [Chunk]
  var messages: [String: [Recorded]]

  /// Everything that one side sent.
  func stream(of side: String) -> [UInt8] {
    chunks.filter { $0.from == side }.flatMap { Array($0.bytes) }
  }

  /// The keys of the session's feeds, by their discovery keys.
  func keys() throws -> [DiscoveryKey: PublicKey] {
    var keys: [DiscoveryKey: PublicKey] = [:]
    for hex in [key] + secretKeys.keys {
      let key = try #require(PublicKey(hex: hex))
      keys[key.discoveryKey] = key
    }
    return keys
  }

  static func names() throws -> [String] {
    let folder = Fixtures.url("sessions")
    return try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".json") }.sorted()
  }
}
