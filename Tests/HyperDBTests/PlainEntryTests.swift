import DatTesting
import Testing

@testable import HyperDB

/// Entries that are read where they are, beside the decoder of messages.
struct PlainEntryTests {
  private let codec = EntryMessageCodec()

  private func both(_ block: [UInt8]) -> (plain: EntryMessage?, decoded: EntryMessage?) {
    let decoded = block.withUnsafeBytes { bytes in
      codec.withDecodedEntry(in: bytes) { EntryMessage($0) }
    }
    return (codec.withEntry(in: block) { EntryMessage($0) }, decoded)
  }

  private func isPlain(_ block: [UInt8]) -> Bool {
    var clock = [UInt64](repeating: 0, count: PlainEntry.clockRoom)
    return block.withUnsafeBufferPointer { bytes in
      clock.withUnsafeMutableBufferPointer { clock in
        clock.baseAddress.map { PlainEntry.fields(bytes, clock: $0) != nil } ?? false
      }
    }
  }

  private func entry(_ random: inout SeededRandom) -> EntryMessage {
    var entry = EntryMessage(key: random.bytes(Int.random(in: 0..<200, using: &random)))
    if random.chance(0.7) { entry.value = random.bytes(Int.random(in: 0..<300, using: &random)) }
    entry.deleted = random.chance(0.2)
    entry.trie = random.bytes(Int.random(in: 0..<150, using: &random))
    let largest: UInt64 = random.chance(0.1) ? .max : 1 << 40
    entry.clock = (0..<Int.random(in: 0..<6, using: &random)).map { _ in
      UInt64.random(in: 0...largest, using: &random) >> UInt64.random(in: 0..<40, using: &random)
    }
    if random.chance(0.9) { entry.inflate = UInt64.random(in: 0...1 << 45, using: &random) }
    return entry
  }

  @Test func `what every implementation writes is read where it is`() {
    var random = SeededRandom(seed: 1)
    for _ in 0..<2_000 {
      var entry = entry(&random)
      entry.clock = entry.clock.map { $0 & (1 << 45 - 1) }
      let block = codec.encode(entry)
      #expect(isPlain(block))
      #expect(codec.decode(block, inflated: false) == entry)
    }
    var long = EntryMessage(key: [1])
    long.clock = Array(repeating: 1, count: PlainEntry.clockRoom)
    #expect(isPlain(codec.encode(long)))
    long.clock.append(1)
    #expect(!isPlain(codec.encode(long)))
    #expect(codec.decode(codec.encode(long), inflated: false) == long)
  }

  @Test func `entries of any other form are what the decoder of messages makes of them`() {
    var random = SeededRandom(seed: 2)
    for _ in 0..<20_000 {
      var block = codec.encode(entry(&random))
      for _ in 0..<Int.random(in: 0..<3, using: &random) where !block.isEmpty {
        let place = Int.random(in: block.indices, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: block[place] = UInt8.random(in: .min ... .max, using: &random)
        case 1: block.remove(at: place)
        case 2: block.insert(UInt8.random(in: 0..<0x48, using: &random), at: place)
        case 3: block.removeSubrange(place...)
        // A field again, or one that is not known, at the end.
        default:
          block += [[0x12, 1, 7], [0x18, 2], [0x28, 9], [0x38, 1], [0x30, 0x80, 0]].randomElement(
            using: &random)!
        }
      }
      let (plain, decoded) = both(block)
      #expect(plain == decoded, "\(block)")
    }
  }

  @Test func `integers of more bytes than they need are what the decoder makes of them`() {
    for block in [
      [0x0a, 0x81, 0x00, 0x6b, 0x22, 0x00],
      [0x0a, 0x01, 0x6b, 0x22, 0x00, 0x28, 0x81, 0x80, 0x00, 0x30, 0x80, 0x00],
      [0x0a, 0x01, 0x6b, 0x18, 0x80, 0x01, 0x22, 0x00],
      [0x0a, 0x01, 0x6b, 0x18, 0x81, 0x00, 0x22, 0x00],
      [0x8a, 0x00, 0x01, 0x6b, 0x22, 0x00],
    ] as [[UInt8]] {
      let (plain, decoded) = both(block)
      #expect(plain == decoded, "\(block)")
    }
  }
}
