internal import DatTesting

/// A generator of inputs from others, for runs without the fuzzer. It doesn't know what an input reaches, but
/// works anywhere, and repeats itself for a seed.
public struct FuzzMutator {
  private var random: SeededRandom
  private let corpus: [[UInt8]]
  private let longest: Int

  /// - Parameter corpus: the inputs to start from.
  public init(_ corpus: [[UInt8]], longest: Int, seed: UInt64) {
    self.corpus = corpus.isEmpty ? [[]] : corpus
    self.longest = longest
    random = SeededRandom(seed: seed)
  }

  /// Bytes at which lengths, varints and texts change their meaning.
  private static let edges: [UInt8] = [
    0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 65, 127, 128, 129, 191, 192, 253, 254, 255, 10, 34, 44,
    58,
    91, 92, 93, 123, 125,
  ]

  /// Returns the next input.
  public mutating func next() -> [UInt8] {
    var bytes = pick()
    if random.chance(0.02) { bytes = random.bytes(number(below: 200)) }
    for _ in 0...number(below: 5) { change(&bytes) }
    return bytes.count > longest ? Array(bytes[..<longest]) : bytes
  }

  private mutating func number(below end: Int) -> Int { Int.random(in: 0..<end, using: &random) }

  private mutating func pick() -> [UInt8] { corpus[number(below: corpus.count)] }

  private mutating func part(of bytes: [UInt8]) -> Range<Int> {
    let start = number(below: bytes.count + 1)
    let end = start + number(below: min(bytes.count - start, 64) + 1)
    return start..<end
  }

  private mutating func change(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else {
      bytes = random.bytes(1 + number(below: 8))
      return
    }
    let place = number(below: bytes.count)
    switch number(below: 10) {
    case 0: bytes[place] ^= 1 << UInt8(number(below: 8))
    case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
    case 2: bytes[place] = Self.edges[number(below: Self.edges.count)]
    case 3: bytes[place] &+= UInt8.random(in: 0...4, using: &random) &- 2
    case 4: bytes.removeSubrange(part(of: bytes))
    case 5: bytes.insert(contentsOf: random.bytes(1 + number(below: 8)), at: place)
    case 6: bytes.insert(contentsOf: Array(bytes[part(of: bytes)]), at: place)
    case 7:
      let other = pick()
      bytes.insert(contentsOf: Array(other[part(of: other)]), at: place)
    case 8: bytes.removeSubrange(place...)
    default:
      // A varint of some size, in place of another perhaps.
      var value = random.next() >> UInt64(number(below: 64))
      var varint: [UInt8] = []
      while value > 127 {
        varint.append(UInt8(value & 127) | 128)
        value >>= 7
      }
      varint.append(UInt8(value))
      bytes.replaceSubrange(place..<min(place + varint.count, bytes.count), with: varint)
    }
  }
}
