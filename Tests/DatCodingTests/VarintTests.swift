import DatCoding
import DatTesting
import Testing

private struct Vector: Decodable {
  var value: UInt64
  var encoded: String
}

@Suite struct VarintTests {
  @Test func `every recorded varint is written and read alike`() throws {
    let vectors = try Fixtures.json("vectors/varint.json", as: [Vector].self)
    try #require(!vectors.isEmpty)
    for vector in vectors {
      var written: [UInt8] = []
      Varint.write(vector.value, to: &written)
      #expect(Hex.encode(written) == vector.encoded)
      #expect(Varint.length(vector.value) == written.count)
      #expect(read(written) == .value(vector.value, length: written.count))
    }
  }

  @Test func `every length from one to ten bytes has the right bounds`() {
    for shift in 0..<64 {
      for value in [1 << shift, (1 << shift) &- 1, 1 << shift | 1] as [UInt64] {
        var written: [UInt8] = []
        Varint.write(value, to: &written)
        #expect(Varint.length(value) == written.count)
        #expect(read(written) == .value(value, length: written.count))
      }
    }
    #expect(Varint.length(.max) == Varint.maximumLength)
  }

  @Test func `padded varints of up to ten bytes are read`() {
    #expect(read([0xa3, 0x80, 0x80, 0x00]) == .value(35, length: 4))
    let padded: [UInt8] = [0x81] + Array(repeating: 0x80, count: 8) + [0x00]
    #expect(read(padded) == .value(1, length: 10))
  }

  @Test func `a varint that is cut is incomplete and one that is too long malformed`() {
    #expect(read([]) == .incomplete)
    #expect(read([0x80]) == .incomplete)
    #expect(read(Array(repeating: 0x80, count: 9)) == .incomplete)
    #expect(read(Array(repeating: 0x80, count: 10)) == .malformed)
    #expect(read(Array(repeating: 0x80, count: 10) + [0]) == .malformed)
    #expect(read(Array(repeating: 0xff, count: 9) + [0x02]) == .malformed)
    #expect(read(Array(repeating: 0xff, count: 9) + [0x01]) == .value(.max, length: 10))
  }

  private func read(_ bytes: [UInt8]) -> Varint.Reading {
    bytes.withUnsafeBytes { Varint.read($0) }
  }
}

@Suite struct HexTests {
  @Test func `bytes are written in lowercase and read in either case`() {
    #expect(Hex.encode([0x00, 0x9f, 0xff]) == "009fff")
    #expect(Hex.decode("009FfF") == [0x00, 0x9f, 0xff])
    #expect(Hex.decode("") == [])
  }

  @Test(arguments: ["0", "0g", "é0", "0x00", " 00"])
  func `what is not hex is refused`(text: String) {
    #expect(Hex.decode(text) == nil)
  }
}
