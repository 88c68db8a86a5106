import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

@testable import DatWire

/// Returns what one end of a recorded session sent, from its bytes alone.
func said(_ session: RecordedSession, by side: RecordedSession.Side, seed: UInt64)
  -> [RecordedSession.Said]
{
  var decoder = WireDecoder(key: session.key)
  var random = SeededRandom(seed: seed)
  var bytes = session.chunks.filter { $0.from == side }.flatMap(\.bytes)[...]
  var items: [WireItem] = []
  while !bytes.isEmpty {
    let count = Int.random(in: 1...(seed == 0 ? 1 << 20 : 700), using: &random)
    decoder.add(Array(bytes.prefix(count))) { items.append($0) }
    bytes = bytes.dropFirst(count)
  }
  #expect(decoder.rest() == nil && !decoder.hasEnded && decoder.sealedBytes == 0)
  // Frames follow each other without gaps.
  var offset: UInt64 = 0
  for item in items {
    #expect(item.offset == offset)
    offset += UInt64(item.size)
  }
  return items.compactMap { item in
    switch item.content {
    case .feed(let key, _): .feed(key)
    case .handshake(let handshake): .handshake(handshake)
    case .message(let message): item.feed.map { .message($0, message) }
    case .extension(_, let name, let payload):
      item.feed.map { .extension($0, name: name ?? "", payload: payload) }
    case .keepAlive: nil
    case .unknown, .sealed, .otherKey, .malformed: nil
    }
  }
}

@Suite struct WireDecoderTests {
  @Test(arguments: try RecordedSession.names())
  func `each end of a recorded session is decoded from its bytes and the key`(name: String) throws {
    let session = try RecordedSession(name)
    for side in RecordedSession.Side.allCases {
      for seed in testSeeds(standard: 3) {
        #expect(said(session, by: side, seed: seed) == session.said(by: side), "seed \(seed)")
      }
    }
  }

  @Test func `without the key the first message is shown, and the rest is counted`() throws {
    let session = try RecordedSession("feed-full")
    for key in [nil, KeyPair.generate().publicKey] {
      var decoder = WireDecoder(key: key)
      var items: [WireItem] = []
      var count = 0
      for chunk in session.chunks where chunk.from == .a {
        count += chunk.bytes.count
        decoder.add(chunk.bytes) { items.append($0) }
      }
      #expect(items.count == 2)
      guard case .feed(session.key.discoveryKey, .some) = items[0].content else {
        Issue.record("\(items[0])")
        return
      }
      #expect(items[1].content == (key == nil ? .sealed : .otherKey))
      #expect(decoder.sealedBytes == UInt64(count - items[0].size))
      #expect(decoder.waiting == 0)
    }
  }

  @Test(
    arguments: [
      [0xff, 0xff, 0xff, 0xff, 0x7f], [0x81, 0x80, 0x80, 0x04, 0], [3, 0xff, 0xff, 0xff],
      [2, 0x00, 0xff], [11] + [UInt8](repeating: 0xff, count: 11),
    ] as [[UInt8]])
  func `bytes that the protocol does not allow end a direction with a sentence`(bytes: [UInt8]) {
    var decoder = WireDecoder(key: nil)
    var items: [WireItem] = []
    decoder.add(bytes) { items.append($0) }
    guard items.count == 1, case .malformed(let sentence) = items[0].content else {
      Issue.record("\(items)")
      return
    }
    #expect(sentence.hasSuffix("."))
    #expect(decoder.hasEnded)
    decoder.add([UInt8](repeating: 0, count: 100)) { items.append($0) }
    #expect(items.count == 1)
  }

  @Test func `a frame that is cut off at the end is told`() throws {
    let session = try RecordedSession("feed-full")
    var decoder = WireDecoder(key: session.key)
    var items: [WireItem] = []
    let bytes = session.chunks.filter { $0.from == .a }.flatMap(\.bytes)
    decoder.add(Array(bytes.dropLast())) { items.append($0) }
    #expect(decoder.rest() != nil)
  }

  @Test func `random bytes keep no more than a frame`() {
    for seed in testSeeds(standard: 200) {
      var random = SeededRandom(seed: seed)
      var decoder = WireDecoder(key: nil)
      var count = 0
      for _ in 0..<20 {
        decoder.add(random.bytes(Int.random(in: 0..<300, using: &random))) { _ in count += 1 }
      }
      #expect(decoder.waiting <= 6_000, "seed \(seed)")
    }
  }
}
