import DatTesting
import Foundation
import HypercoreCrypto
import Testing

@testable import DatWire

@Suite struct RecordingTests {
  /// Reads a file in pieces of a size.
  private func parts(_ file: [UInt8], pieces: Int = 997) throws -> [RecordedPart] {
    var reader = RecordingReader()
    var parts: [RecordedPart] = []
    for start in stride(from: 0, to: file.count, by: pieces) {
      try reader.add(Array(file[start..<min(file.count, start + pieces)])) { parts.append($0) }
    }
    try reader.finish { parts.append($0) }
    return parts
  }

  private let samples: [RecordedPart] = [
    RecordedPart(
      connection: 1, time: 1_700_000_000_123,
      content: .began(
        peer: "[::1]:3282", isInbound: true, DiscoveryKey(bytes: [UInt8](repeating: 7, count: 32)))),
    RecordedPart(connection: 1, time: 1_700_000_000_124, content: .bytes(.here, Array(0...255))),
    RecordedPart(connection: 2, time: nil, content: .began(peer: nil, isInbound: nil, nil)),
    RecordedPart(connection: 2, time: -5, content: .bytes(.there, [])),
    RecordedPart(connection: 1, time: 1_700_000_000_125, content: .ended),
    RecordedPart(connection: 2, time: 0, content: .stopped("It is full.")),
  ]

  private func file(_ parts: [RecordedPart]) -> [UInt8] {
    Array(
      ([RecordingFormat.heading] + parts.map(RecordingFormat.line)).map { $0 + "\n" }.joined().utf8)
  }

  @Test func `a recording reads as it was written, in pieces of any size`() throws {
    let file = file(samples)
    for pieces in [1, 7, 24, 100, file.count] {
      #expect(try parts(file, pieces: pieces) == samples)
    }
  }

  @Test func `a recording that was cut off reads as far as it goes`() throws {
    let file = file(samples)
    for count in [30, 60, 150, file.count - 2] {
      let found = try parts(Array(file.prefix(count)))
      #expect(found == Array(samples.prefix(found.count)))
    }
    #expect(throws: RecordingError.self) { try parts([]) }
  }

  @Test(arguments: [
    #"{"connection":0,"from":"here","bytes":""}"#, #"{"connection":1e300,"event":"ended"}"#,
    #"{"connection":1.5,"event":"ended"}"#, #"{"connection":1,"from":"here","bytes":"xy"}"#,
    #"{"connection":1,"from":"nowhere","bytes":"00"}"#, #"{"connection":1}"#, #"[1]"#, "x",
    #"{"dat":"recording","version":2}"#, #"{"connection":1,"event":{"event":1}}"#,
  ])
  func `a line that is none of a recording is refused with its number`(line: String) {
    let file = Array((RecordingFormat.heading + "\n" + line + "\n").utf8)
    #expect { try parts(file) } throws: { "\($0)".contains("ine 2") }
  }

  @Test func `a line without end is refused before it takes memory`() throws {
    var reader = RecordingReader()
    try reader.add(Array((RecordingFormat.heading + "\n").utf8)) { _ in }
    #expect(throws: RecordingError.self) {
      for _ in 0..<100 { try reader.add([UInt8](repeating: 97, count: 10_000)) { _ in } }
    }
  }

  @Test func `anything else is the bytes of one end`() throws {
    let session = try RecordedSession("feed-full")
    let bytes = session.chunks.filter { $0.from == .b }.flatMap(\.bytes)
    let found = try parts(bytes)
    #expect(found.allSatisfy { $0.connection == 1 && $0.time == nil })
    var all: [UInt8] = []
    for case .bytes(.here, let part) in found.map(\.content) { all += part }
    #expect(all == bytes)
    #expect(try parts([1, 0]).map(\.content) == [.bytes(.here, [1, 0])])
  }

  @Test(arguments: [(1, false), (1, true), (101, false), (0, true)])
  func `a capture gives the bytes of both ends in order`(link: Int, isSix: Bool) throws {
    let session = try RecordedSession("feed-many")
    let chunks = session.chunks.map { (fromClient: $0.from == .a, bytes: $0.bytes) }
    for seed in testSeeds(standard: 5) {
      var writer = CaptureWriter(link: UInt32(link))
      writer.add(chunks, seed: seed, isSix: isSix)
      let found = try parts(writer.bytes)
      guard case .began(let peer?, nil, nil) = found.first?.content else {
        Issue.record("\(found.first as Any)")
        return
      }
      #expect(peer.hasSuffix(":3282"))
      #expect(found.last?.content == .ended)
      #expect(found.allSatisfy { $0.connection == 1 })
      for (side, isClient) in [(RecordedPart.Side.here, true), (.there, false)] {
        var bytes: [UInt8] = []
        for case .bytes(side, let part) in found.map(\.content) { bytes += part }
        #expect(
          bytes == chunks.filter { $0.fromClient == isClient }.flatMap(\.bytes), "seed \(seed)")
      }
    }
  }

  @Test func `a capture with a gap says so, and keeps no more than its limit`() throws {
    var writer = CaptureWriter(link: 101)
    writer.add(fromClient: true, sequence: 0, flags: 2)
    for number in 0..<1200 {
      writer.add(
        fromClient: true, sequence: UInt32(100 + number * 1400), [UInt8](repeating: 1, count: 1400))
    }
    let found = try parts(writer.bytes)
    #expect(
      found.contains { if case .stopped = $0.content { true } else { false } })
  }

  @Test func `captures of any bytes are read or refused`() throws {
    let session = try RecordedSession("feed-full")
    let chunks = session.chunks.map { (fromClient: $0.from == .a, bytes: $0.bytes) }
    for seed in testSeeds(standard: 200) {
      var random = SeededRandom(seed: seed)
      var writer = CaptureWriter(link: [0, 1, 101].randomElement(using: &random) ?? 1)
      writer.add(Array(chunks.prefix(6)), seed: seed, isSix: Bool.random(using: &random))
      var file = writer.bytes
      for _ in 0..<Int.random(in: 1...20, using: &random) {
        file[Int.random(in: 8..<file.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      // Refused, or read as far as it makes sense: no more comes out than was put in.
      let found = (try? parts(file)) ?? []
      let count = found.reduce(0) {
        if case .bytes(_, let bytes) = $1.content { $0 + bytes.count } else { $0 }
      }
      #expect(count <= file.count, "seed \(seed)")
    }
  }

  @Test func `a capture in the newer format is refused with the way out`() {
    #expect { try parts([0x0a, 0x0d, 0x0d, 0x0a] + [UInt8](repeating: 0, count: 40)) } throws: {
      "\($0)".contains("editcap")
    }
  }
}
