import DatCoding
import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

private struct Vector: Decodable {
  var type: UInt8
  var name: String
  var message: RecordedFields
  var encoded: String
  var decoded: RecordedFields
}

@Suite struct MessageVectorTests {
  private let vectors: [Vector]

  init() throws {
    vectors = try Fixtures.json("vectors/protocol-messages.json")
    try #require(!vectors.isEmpty)
  }

  @Test func `every recorded message is packed to the recorded bytes`() throws {
    for vector in vectors {
      var output = OutputBuffer()
      #expect(try pack(vector, to: &output))
      let frame = output.take { _ in }
      let body = [UInt8](hex: vector.encoded)
      let length = UInt64(body.count + 1)
      #expect(frame == varint(length) + [vector.type] + body, "\(vector.name) \(vector.encoded)")
    }
  }

  @Test func `every recorded message is unpacked to the recorded values`() throws {
    let decoder = MessageDecoder()
    for vector in vectors {
      let type = try #require(MessageType(rawValue: vector.type))
      #expect(type.description == vector.name)
      let body = [UInt8](hex: vector.encoded)
      try body.withUnsafeBytes { bytes in
        switch type {
        case .feed:
          let feed = try #require(decoder.feed(bytes))
          #expect(feed.discoveryKey.bytes == vector.decoded.discoveryKey)
          #expect(feed.nonce?.bytes == vector.decoded.nonce)
        case .handshake:
          let raw = try #require(decoder.handshake(bytes))
          #expect(raw.handshake == vector.decoded.handshake)
          #expect(raw.extensionNames == raw.handshake.extensions.map { Array($0.utf8) })
        default:
          #expect(decoder.message(type, bytes) == (try vector.decoded.message(vector.name)))
        }
      }
    }
  }

  @Test func `a recorded body cut short or changed never traps`() throws {
    let decoder = MessageDecoder()
    var random = SeededRandom(seed: 1)
    for vector in vectors {
      let whole = [UInt8](hex: vector.encoded)
      for count in 0...whole.count {
        decodeAsEverything(Array(whole[..<count]), decoder)
      }
      for _ in 0..<200 where !whole.isEmpty {
        var changed = whole
        changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(
          in: .min ... .max, using: &random)
        decodeAsEverything(changed, decoder)
      }
    }
  }

  private func pack(_ vector: Vector, to output: inout OutputBuffer) throws -> Bool {
    let encoder = MessageEncoder(channel: 0)
    let fields = vector.message
    switch vector.name {
    case "Feed":
      return encoder.feed(
        try #require(DiscoveryKey(bytes: fields.discoveryKey ?? [])),
        nonce: fields.nonce.flatMap { Nonce(bytes: $0) }, to: &output)
    case "Handshake":
      return encoder.handshake(
        id: fields.id, live: fields.live, userData: fields.userData,
        extensions: (fields.extensions ?? []).map { Array($0.utf8) }, ack: fields.ack,
        to: &output)
    case "Info":
      return encoder.info(
        uploading: fields.uploading, downloading: fields.downloading, to: &output)
    case "Have":
      return encoder.have(
        start: try #require(fields.start), length: fields.length, bitfield: fields.bitfield,
        ack: fields.ack, to: &output)
    case "Unhave":
      return encoder.unhave(
        start: try #require(fields.start), length: fields.length, to: &output)
    case "Want":
      return encoder.want(start: try #require(fields.start), length: fields.length, to: &output)
    case "Unwant":
      return encoder.unwant(
        start: try #require(fields.start), length: fields.length, to: &output)
    case "Request":
      return encoder.request(
        index: try #require(fields.index), bytes: fields.bytes, hash: fields.hash,
        nodes: fields.digest, to: &output)
    case "Cancel":
      return encoder.cancel(
        index: try #require(fields.index), bytes: fields.bytes, hash: fields.hash, to: &output)
    case "Data":
      let signature = fields.signature.flatMap { Signature(bytes: $0) }
      guard let value = fields.value else {
        return encoder.data(
          index: try #require(fields.index), value: nil, nodes: fields.nodes ?? [],
          signature: signature, to: &output)
      }
      let index = try #require(fields.index)
      return value.withUnsafeBytes {
        encoder.data(
          index: index, value: $0, nodes: fields.nodes ?? [], signature: signature, to: &output)
      }
    default: throw RecordedFields.UnknownMessage(name: vector.name)
    }
  }
}

/// Decodes a body as every type of message; it only has to return.
func decodeAsEverything(_ body: [UInt8], _ decoder: MessageDecoder) {
  body.withUnsafeBytes { bytes in
    _ = decoder.feed(bytes)
    _ = decoder.handshake(bytes)
    for type in MessageType.allCases { _ = decoder.message(type, bytes) }
  }
}

func varint(_ value: UInt64) -> [UInt8] {
  var bytes: [UInt8] = []
  Varint.write(value, to: &bytes)
  return bytes
}
