import Testing

@testable import HyperDB

/// The look at an entry's fields before anything is allocated for them.
struct EntryScanTests {
  private func scan(_ bytes: [UInt8]) -> EntryScan? { bytes.withUnsafeBytes { EntryScan($0) } }

  @Test func `unknown fields of 8 and 4 bytes are passed over if they are whole`() {
    // The key "a", then field 9.
    for (tag, size) in [(0x49 as UInt8, 8), (0x4d, 4)] {
      for count in 0...size {
        let found = scan([0x0a, 1, 0x61, tag] + [UInt8](repeating: 0x0a, count: count))
        #expect(found?.fieldCount == (count == size ? 2 : nil), "\(count) bytes of \(size)")
      }
    }
    #expect(scan([])?.fieldCount == 0)
  }

  @Test func `an entry of early hyperdb is told by its fields and their kinds`() {
    // By number: key, value, trie, clock, inflate, feeds and content.
    let fields: [Int: [UInt8]] = [
      1: [0x0a, 1, 0x61], 2: [0x12, 1, 0x62], 3: [0x1a, 0], 4: [0x20, 0], 5: [0x28, 1],
      6: [0x32, 0], 7: [0x3a, 0],
    ]
    func isEarly(without left: Int? = nil, with field: [UInt8] = []) -> Bool {
      var chosen = fields
      if let left { chosen[left] = nil }
      return EntryScan.isEntryOfEarlyHyperDB(
        chosen.sorted { $0.key < $1.key }.flatMap(\.value) + field)
    }
    #expect(isEarly())
    for number in 1...7 {
      #expect(isEarly(without: number) == [2, 4, 6, 7].contains(number), "without \(number)")
    }
    // The same numbers with another kind, and numbers that there were not.
    for number in [1, 3] as [UInt8] {
      #expect(!isEarly(without: Int(number), with: [number << 3, 1]), "number \(number)")
    }
    for number in [4, 5] as [UInt8] {
      #expect(!isEarly(without: Int(number), with: [number << 3 | 2, 0]), "number \(number)")
    }
    #expect(!isEarly(without: 6, with: [0x30, 1]))
    #expect(!isEarly(with: [0x42, 0]) && !isEarly(with: [0x02, 0]))
    #expect(!isEarly(with: [0x3a, 1]) && !isEarly(with: [0x3d, 0, 0, 0, 0]))
  }
}
