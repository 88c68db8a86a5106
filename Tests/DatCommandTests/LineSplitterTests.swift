import DatTesting
import Testing

@testable import dat

/// How bytes are cut into lines.
@Suite struct LineSplitterTests {
  private func lines(_ bytes: [UInt8], cut: (Int) -> Int) throws -> [[UInt8]] {
    var splitter = LineSplitter()
    var lines: [[UInt8]] = []
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + max(1, cut(start)))
      lines += try splitter.take(Array(bytes[start..<end]))
      start = end
    }
    if let last = splitter.finish() { lines.append(last) }
    return lines
  }

  @Test func `lines are the same however the bytes come`() throws {
    let bytes: [UInt8] = [0xef, 0xbb, 0xbf] + Array("one\r\n\r\ntwo\n\rthree\r\n four".utf8)
    let expected = ["one", "", "two", "\rthree", " four"].map { Array($0.utf8) }
    for size in 1...bytes.count { #expect(try lines(bytes) { _ in size } == expected) }
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededRandom(seed: seed)
    for _ in 0..<200 {
      let letters: [UInt8] = [0x0a, 0x0d, 0x61, 0xef, 0xbb, 0xbf]
      let bytes = (0..<60).map { _ in letters[Int.random(in: 0..<6, using: &random)] }
      let whole = try lines(bytes) { _ in bytes.count }
      #expect(
        try lines(bytes) { _ in Int.random(in: 1...7, using: &random) } == whole, "seed \(seed)")
    }
  }

  @Test func `a mark at the beginning is dropped once, and nothing is no line`() throws {
    #expect(try lines([0xef, 0xbb, 0xbf]) { _ in 1 }.isEmpty)
    #expect(try lines([]) { _ in 1 }.isEmpty)
    #expect(
      try lines(Array("a\n\u{feff}b".utf8)) { _ in 1 } == [
        Array("a".utf8), Array("\u{feff}b".utf8),
      ])
  }

  @Test func `a line without an end doesn't fill the memory`() throws {
    var splitter = LineSplitter()
    let piece = [UInt8](repeating: 0x61, count: 1 << 20)
    #expect(throws: LineSplitter.Overflow.self) {
      for _ in 0...(LineSplitter.limit >> 20) { _ = try splitter.take(piece) }
    }
  }
}
