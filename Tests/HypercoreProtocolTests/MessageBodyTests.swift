import DatCoding
import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// Bodies that protobuf-c would accept, and bodies that it would not.
@Suite struct MessageBodyTests {
  private let decoder = MessageDecoder()

  private func decode(_ type: MessageType, _ hex: String) -> Message? {
    decode(type, [UInt8](hex: hex))
  }

  private func decode(_ type: MessageType, _ body: [UInt8]) -> Message? {
    body.withUnsafeBytes { decoder.message(type, $0) }
  }

  @Test func `absent and empty are told apart`() {
    #expect(decode(.data, "0801") == .data(DataMessage(index: 1)))
    #expect(decode(.data, "08011200") == .data(DataMessage(index: 1, value: [])))
    #expect(decode(.have, "0801") == .have(start: 1, length: 1))
    #expect(decode(.have, "08011a00") == .have(start: 1, length: 1, bitfield: []))
    #expect(decode(.have, "08011000") == .have(start: 1, length: 0))
  }

  @Test func `what is absent has the value that the reference gives it`() {
    #expect(decode(.info, "") == .info(uploading: false, downloading: false))
    #expect(decode(.unhave, "0802") == .unhave(start: 2, length: 1))
    #expect(decode(.want, "0802") == .want(start: 2, length: 0))
    #expect(decode(.unwant, "0802") == .unwant(start: 2, length: 0))
    #expect(decode(.request, "0802") == .request(Request(index: 2)))
    #expect(decode(.cancel, "0802") == .cancel(index: 2, bytes: 0, hash: false))
  }

  @Test(
    arguments: [.have, .unhave, .want, .unwant, .request, .cancel, .data] as [MessageType])
  func `a message without its required field is refused`(type: MessageType) {
    #expect(decode(type, "1001") == nil)
    #expect(decode(type, "") == nil)
  }

  @Test(
    arguments: [.have, .unhave, .want, .unwant, .request, .cancel, .data] as [MessageType])
  func `a known field of another wire type is refused`(type: MessageType) {
    #expect(decode(type, "0a0101") == nil)
    #expect(decode(type, "090000000000000000") == nil)
    #expect(decode(type, "0d00000000") == nil)
    // Known bytes fields, sent as integers.
    if type == .data || type == .have { #expect(decode(type, "0801 1801".spaceless) == nil) }
  }

  @Test func `integers up to 2^53 - 1 are taken and larger ones refused`() {
    let most = varint(Varint.maximum)
    let more = varint(Varint.maximum + 1)
    #expect(decode(.have, [0x08] + most) == .have(start: Varint.maximum))
    for type in [.have, .unhave, .want, .unwant, .request, .cancel, .data] as [MessageType] {
      #expect(decode(type, [0x08] + more) == nil)
      if type != .data { #expect(decode(type, [0x08, 0x01, 0x10] + more) == nil) }
    }
    // 70 bits, which protobuf-c would truncate to 64.
    let long = Array(repeating: UInt8(0x80), count: 9) + [0x02]
    #expect(decode(.have, [0x08] + long) == nil)
    #expect(decode(.have, [0x08] + Array(repeating: 0xff, count: 10) + [0x01]) == nil)
  }

  @Test func `the digest of a Request has all 64 bits`() {
    #expect(
      decode(.request, [0x08, 0x01, 0x20] + varint(.max))
        == .request(Request(index: 1, nodes: .max)))
  }

  @Test func `padded varints of up to ten bytes are taken in keys, lengths and values`() {
    let padding = Array(repeating: UInt8(0x80), count: 8)
    let one: [UInt8] = [0x81] + padding + [0x00]
    #expect(decode(.have, [0x08] + one) == .have(start: 1))
    // The key 08, padded.
    #expect(decode(.have, [0x88] + padding + [0x00] + one) == .have(start: 1))
    // The length 1 of a bitfield, and of a value.
    #expect(
      decode(.have, [0x08, 0x01, 0x1a] + one + [0x55]) == .have(start: 1, bitfield: [0x55]))
    #expect(
      decode(.data, [0x08, 0x01, 0x12] + one + [0x55])
        == .data(DataMessage(index: 1, value: [0x55])))
    // Inside a node.
    let hash = [UInt8](repeating: 7, count: 32)
    let length: [UInt8] = [0xa0] + padding + [0x00]
    let node = [0x08, 0x02, 0x12] + length + hash + [0x18, 0x03]
    #expect(
      decode(.data, [0x08, 0x01, 0x1a] + varint(UInt64(node.count)) + node)
        == .data(
          DataMessage(
            index: 1, nodes: [Node(index: 2, hash: Digest(bytes: hash)!, size: 3)])))
    // Eleven bytes are too many.
    #expect(decode(.have, [0x08, 0x81] + padding + [0x80, 0x00]) == nil)
  }

  @Test func `unknown fields are skipped by wire type and groups refused`() {
    let known: Message = .have(start: 1, length: 2)
    for unknown in ["2805", "320201ff", "390102030405060708", "3d01020304", "80808010 05"] {
      #expect(decode(.have, ("0801" + unknown + "1002").spaceless) == known)
    }
    #expect(decode(.have, "0801 2b 2c".spaceless) == nil)
    #expect(decode(.have, "0801 2e".spaceless) == nil)
    #expect(decode(.have, "0801 2f".spaceless) == nil)
  }

  @Test func `of a field that comes twice the last counts`() {
    #expect(decode(.have, "080108021003") == .have(start: 2, length: 3))
    #expect(
      decode(.data, "0801 120155 120266 67".spaceless)
        == .data(DataMessage(index: 1, value: [0x66, 0x67])))
    #expect(
      decode(.data, "0801 120155 1200".spaceless) == .data(DataMessage(index: 1, value: [])))
  }

  @Test func `a long block comes through whole, wherever its field stands`() {
    var random = SeededRandom(seed: 3)
    let value = random.bytes(70_000)
    let hash = random.bytes(32)
    let node = [0x08, 0x02, 0x12, 0x20] + hash + [0x18, 0x03]
    let nodeField = [0x1a] + varint(UInt64(node.count)) + node
    let valueField = [0x12] + varint(UInt64(value.count)) + value
    let expected = Message.data(
      DataMessage(
        index: 1, value: value, nodes: [Node(index: 2, hash: Digest(bytes: hash)!, size: 3)]))
    #expect(decode(.data, [0x08, 0x01] + valueField + nodeField) == expected)
    #expect(decode(.data, nodeField + [0x08, 0x01] + valueField) == expected)
    #expect(decode(.data, valueField + nodeField + [0x08, 0x01]) == expected)
    #expect(decoder.largestReservation < 10_000)
  }

  @Test func `hashes and signatures of another length are refused`() {
    for count in [0, 3, 31, 33, 64] {
      let hash = [UInt8](repeating: 1, count: count)
      let node = [0x08, 0x02, 0x12, UInt8(count)] + hash + [0x18, 0x03]
      #expect(decode(.data, [0x08, 0x01, 0x1a, UInt8(node.count)] + node) == nil)
    }
    for count in [0, 32, 63, 65] {
      #expect(
        decode(.data, [0x08, 0x01, 0x22, UInt8(count)] + [UInt8](repeating: 1, count: count))
          == nil)
    }
    // Nodes with a missing field, or a too large integer.
    let hash = [0x12, 0x20] + [UInt8](repeating: 1, count: 32)
    let more = varint(Varint.maximum + 1)
    for node in [hash, [0x08, 0x02] + hash, [0x08] + more + hash + [0x18, 0x01]] {
      #expect(decode(.data, [0x08, 0x01, 0x1a, UInt8(node.count)] + node) == nil)
    }
  }

  @Test func `a block comes with up to 256 nodes`() {
    let node: [UInt8] = [0x08, 0x02, 0x12, 0x20] + [UInt8](repeating: 1, count: 32) + [0x18, 0x03]
    func nodes(_ count: Int) -> [UInt8] {
      [0x08, 0x01] + (0..<count).flatMap { _ in [0x1a, UInt8(node.count)] + node }
    }
    guard case .data(let data) = decode(.data, nodes(256)) else {
      Issue.record("256 nodes are refused")
      return
    }
    #expect(data.nodes.count == 256)
    #expect(decode(.data, nodes(257)) == nil)
  }

  @Test func `lengths that leave the body are refused`() {
    #expect(decode(.data, "0801 12 05 0102".spaceless) == nil)
    #expect(decode(.data, "0801 12 ffffffff0f".spaceless) == nil)
    #expect(decode(.data, "0801 12 ffffffffffffffffff01".spaceless) == nil)
    #expect(decode(.data, "0801 1a 04 0802 1220".spaceless) == nil)
    #expect(decode(.have, "08") == nil)
    #expect(decode(.have, "0880") == nil)
  }

  @Test func `millions of repeated or unknown fields cost no memory`() {
    func twoMillion(_ pair: [UInt8]) -> [UInt8] {
      var fields = pair
      for _ in 0..<21 { fields += fields }
      return fields
    }
    for pair in [[0x1a, 0x00], [0x22, 0x00], [0x30, 0x01], [0x12, 0x00]] as [[UInt8]] {
      let body = [0x08, 0x01] + twoMillion(pair)
      #expect(decode(.data, body) == nil)
      body.withUnsafeBytes { #expect(decoder.handshake($0) == nil) }
    }
    // The same inside one node.
    let inside = twoMillion([0x20, 0x01])
    #expect(decode(.data, [0x08, 0x01, 0x1a] + varint(UInt64(inside.count)) + inside) == nil)
    // Or after a node that can't be read.
    #expect(decode(.data, [0x08, 0x01, 0x1a, 0x01, 0x08] + twoMillion([0x1a, 0x00])) == nil)
    // One unknown field of 8 MiB is skipped.
    let large = [UInt8](repeating: 0, count: 8_000_000)
    #expect(
      decode(.data, [0x08, 0x01, 0x32] + varint(UInt64(large.count)) + large)
        == .data(DataMessage(index: 1)))
    #expect(decoder.largestReservation < 1_000_000)
  }

  @Test func `fields are counted up to their limit, those inside nodes as well`() {
    func unknown(_ count: Int) -> [UInt8] {
      Array(repeatElement([0x30, 0x01] as [UInt8], count: count).joined())
    }
    let limit = WireLimits.fields
    #expect(decode(.data, [0x08, 0x01] + unknown(limit - 1)) == .data(DataMessage(index: 1)))
    #expect(decode(.data, [0x08, 0x01] + unknown(limit)) == nil)
    // A node, and its three fields.
    let node: [UInt8] = [0x08, 0x02, 0x12, 0x20] + [UInt8](repeating: 1, count: 32) + [0x18, 0x03]
    let start = [0x08, 0x01, 0x1a, UInt8(node.count)] + node
    #expect(decode(.data, start + unknown(limit - 5)) != nil)
    #expect(decode(.data, start + unknown(limit - 4)) == nil)
  }

  @Test func `a handshake is taken up to its limits`() {
    func handshake(_ body: [UInt8]) -> MessageDecoder.RawHandshake? {
      body.withUnsafeBytes { decoder.handshake($0) }
    }
    func names(_ count: Int, of length: Int) -> [UInt8] {
      Array(
        repeatElement(
          [0x22, UInt8(length)] + [UInt8](repeating: 0x61, count: length), count: count
        ).joined())
    }
    func userData(_ count: Int) -> [UInt8] {
      [0x1a] + varint(UInt64(count)) + [UInt8](repeating: 1, count: count)
    }
    #expect(handshake(names(64, of: 64))?.extensionNames.count == 64)
    #expect(handshake(names(65, of: 1)) == nil)
    #expect(handshake(names(1, of: 65)) == nil)
    #expect(handshake(userData(65_536))?.handshake.userData?.count == 65_536)
    #expect(handshake(userData(65_537)) == nil)
    func id(_ count: Int) -> [UInt8] {
      [0x0a] + varint(UInt64(count)) + [UInt8](repeating: 1, count: count)
    }
    #expect(handshake(id(256))?.handshake.id?.count == 256)
    #expect(handshake(id(257)) == nil)
    #expect(handshake([])?.handshake == Handshake(id: nil))
    #expect(handshake([0x0a, 0x00])?.handshake.id == [])
    #expect(handshake([0x22, 0x02, 0xff, 0x00])?.extensionNames == [[0xff, 0x00]])
  }

  @Test(arguments: testSeeds(standard: 100))
  func `random bodies never trap`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<100 {
      var body: [UInt8] = []
      for _ in 0..<Int.random(in: 0...12, using: &random) {
        // Mostly plausible keys, so that the scan gets past the first.
        let number = UInt8.random(in: 0...7, using: &random)
        let wireType = [0, 0, 1, 2, 2, 2, 3, 5].randomElement(using: &random)!
        body.append(number << 3 | UInt8(wireType))
        if wireType == 2 { body.append(UInt8.random(in: 0...40, using: &random)) }
        body += random.bytes(Int.random(in: 0...40, using: &random))
      }
      decodeAsEverything(body, decoder)
    }
  }
}

extension String {
  /// The text without its blanks, which only make it readable.
  fileprivate var spaceless: String { filter { $0 != " " } }
}
