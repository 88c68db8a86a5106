import DatCoding
import DatTesting
import Testing

private struct Vector: Decodable {
  var bitfield: String
  var encoded: String
  /// Padded with zeros to a multiple of four bytes.
  var decoded: String
}

@Suite struct BitfieldRLETests {
  @Test func `every recorded bitfield is encoded and decoded alike`() throws {
    let vectors = try Fixtures.json("vectors/bitfield-rle.json", as: [Vector].self)
    try #require(!vectors.isEmpty)
    for vector in vectors {
      let bitfield = [UInt8](hex: vector.bitfield)
      #expect(Hex.encode(BitfieldRLE.encode(bitfield)) == vector.encoded)
      var decoded = try BitfieldRLE.decode([UInt8](hex: vector.encoded), limit: 1 << 20)
      decoded += Array(repeating: 0, count: (4 - decoded.count % 4) % 4)
      #expect(Hex.encode(decoded) == vector.decoded)
    }
  }

  @Test(arguments: testSeeds(standard: 50))
  func `a bitfield of any shape comes back`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 0...40, using: &random) {
      let count = Int.random(in: 1...300, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes += Array(repeating: 0, count: count)
      case 1: bytes += Array(repeating: 0xff, count: count)
      default: bytes += random.bytes(count)
      }
    }
    var trimmed = bytes
    while trimmed.last == 0 { trimmed.removeLast() }
    let encoded = BitfieldRLE.encode(bytes)
    #expect(try BitfieldRLE.decode(encoded, limit: bytes.count) == trimmed)

    // The runs are in order, without gaps, and say where the literal bytes are.
    var offset = 0
    for run in try BitfieldRLE.Runs(encoded, limit: bytes.count) {
      #expect(run.offset == offset)
      offset += run.count
      if case .literal(let start) = run.content {
        #expect(encoded[start..<start + run.count] == trimmed[run.offset..<offset])
      }
    }
    #expect(offset == trimmed.count)
  }

  @Test func `runs of no length and of any order are taken`() throws {
    #expect(try BitfieldRLE.decode([0x01, 0x03, 0x00, 0x07, 0x02, 0x05], limit: 2) == [0xff, 5])
    #expect(try BitfieldRLE.decode([0x05, 0x05], limit: 2) == [0, 0])
  }

  @Test(arguments: ["02", "04ff", "80", "0b02", "feffffffffffffffff01", "ffffffffffffffffffff01"])
  func `a cut or senseless sequence is malformed`(hex: String) {
    #expect(throws: BitfieldRLE.DecodingError.malformed) {
      try BitfieldRLE.decode([UInt8](hex: hex), limit: 1 << 20)
    }
  }

  @Test func `a short sequence that claims gigabytes is refused before anything is allocated`() {
    for exponent in [20, 30, 44, 53, 60] as [UInt64] {
      for kind in [1, 3] as [UInt64] {
        var bomb: [UInt8] = []
        Varint.write(1 << (exponent + 2) | kind, to: &bomb)
        #expect(throws: BitfieldRLE.DecodingError.tooLong) {
          try BitfieldRLE.Runs(bomb, limit: 131_072)
        }
      }
    }
    // Many runs whose sum is too long.
    var many: [UInt8] = []
    for _ in 0..<3 { Varint.write(50_000 * 4 + 3, to: &many) }
    #expect(throws: BitfieldRLE.DecodingError.tooLong) {
      try BitfieldRLE.Runs(many, limit: 131_072)
    }
    #expect(throws: Never.self) { try BitfieldRLE.Runs(many, limit: 150_000) }
  }

  @Test(arguments: testSeeds(standard: 200))
  func `random bytes decode within the limit or are refused`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<50 {
      let bytes = random.bytes(Int.random(in: 0...40, using: &random))
      if let decoded = try? BitfieldRLE.decode(bytes, limit: 1000) {
        #expect(decoded.count <= 1000)
        #expect(
          try! BitfieldRLE.decode(BitfieldRLE.encode(decoded), limit: 1000)
            == Array(decoded.reversed().drop { $0 == 0 }.reversed()))
      }
    }
  }
}
