internal import DatDNS
internal import DatTesting
internal import Foundation
internal import HypercoreProtocol

extension FuzzTarget {
  /// Returns inputs to start from: recordings of the reference, and the beginnings of sequences of operations.
  public func seeds() throws -> [[UInt8]] {
    switch self {
    case .varint: try Self.encoded("varint")
    case .rle: try Self.encoded("bitfield-rle").filter { $0.count < 4096 }
    case .frame: try Self.streams()
    case .message: try Self.messages()
    case .proof: (UInt8(0)..<11).flatMap { [[$0, 0, 1], [$0 | 128, 0, 1, $0, 1, 3, 1]] }
    case .files: try [[0], [2], [4]] + Self.folders()
    case .bitfield:
      try Self.feeds().compactMap { try? Fixtures.bytes("feeds/\($0)/bitfield") }
        .map { Array($0.dropFirst(32).prefix(3328)) }
    case .entry: try Self.encoded("hyperdb-messages")
    case .trie: try Self.encoded("trie-encoding").map { [3] + $0 }
    case .database: try Self.databases()
    case .version: [[], [0], [1], [3], [4], [0xff, 0xff, 3]]
    case .archiveEntry: try Self.archiveEntries()
    case .archive:
      [[1, 2, 3, 4], Array(0..<100), [0x10, 0x22, 0x01, 0x33, 0x02, 0x11, 0x44, 0x05]]
    case .archiveNames:
      [
        "*.log\n!keep\n/build/\n# no", "**/a[b-d]{e,f}?/@(x|y)",
        "dat://" + String(repeating: "ab", count: 32) + "+3/a%20b",
      ]
      .map { Array($0.utf8) }
    case .dns: Self.packets()
    case .userData: try Self.userDatas()
    case .messageJSON, .commandJSON: try Self.texts()
    case .connection: Self.conversations()
    case .session: Self.replications()
    case .sdp, .candidate, .datagram, .hub: Self.webRTC(self)
    case .recording: try Self.recordings()
    case .signalling, .ice: [Array(0..<64), Array(repeating: 7, count: 40), []]
    }
  }

  private struct Vector: Decodable { var encoded: String }

  private static func encoded(_ name: String) throws -> [[UInt8]] {
    let vectors: [Vector] = try Fixtures.json("vectors/\(name).json")
    return vectors.map { [UInt8](hex: $0.encoded) }
  }

  private static func archiveEntries() throws -> [[UInt8]] {
    struct Recorded: Decodable {
      struct Entry: Decodable { var raw: String? }
      var entries: [Entry]
    }
    let archives: [Recorded] = try Fixtures.json("archives/manifest.json")
    return archives.flatMap { $0.entries.prefix(8) }.compactMap { $0.raw.map { [UInt8](hex: $0) } }
  }

  private static func messages() throws -> [[UInt8]] {
    struct Typed: Decodable {
      var type: UInt8
      var encoded: String
    }
    let vectors: [Typed] = try Fixtures.json("vectors/protocol-messages.json")
    return vectors.map { [$0.type] + [UInt8](hex: $0.encoded) }
  }

  static func streams() throws -> [[UInt8]] {
    var streams: [[UInt8]] = []
    for name in try RecordedSession.names() {
      let session = try RecordedSession(name)
      guard !session.isEncrypted else { continue }
      for side in RecordedSession.Side.allCases {
        let bytes = session.chunks.filter { $0.from == side }.flatMap(\.bytes)
        streams.append(Array(bytes.prefix(4096)))
      }
    }
    // The first frames of the others are unencrypted.
    for name in try RecordedSession.names() {
      if let first = try RecordedSession(name).chunks.first { streams.append(first.bytes) }
    }
    return streams
  }

  private static func feeds() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: Fixtures.url("feeds").path).sorted()
      .filter { !$0.hasSuffix(".json") }
  }

  private static func folders() throws -> [[UInt8]] {
    var seeds: [[UInt8]] = []
    for feed in try feeds() {
      var seed: [UInt8] = [1]
      for name in ["key", "secret_key", "tree", "signatures", "bitfield", "data"] {
        let bytes = (try? Fixtures.bytes("feeds/\(feed)/\(name)")) ?? []
        seed += [255, UInt8(bytes.count >> 8 & 255), UInt8(bytes.count & 255)] + bytes
      }
      if seed.count < 16_384 { seeds.append(seed) }
    }
    return seeds
  }

  /// Returns a question and an answer of discovery, and one with a name that points back.
  private static func packets() -> [[UInt8]] {
    let name = DNSName("eff1e39681e1722b6bb83799f79fa61e9e09e019.dat.local")
    let question = DNSQuestion(name, type: DNSRecord.textType)
    let records = [
      DNSRecord(name, .text([Array("token=nAdk".utf8), Array("peers=AAAAAAzS".utf8)])),
      DNSRecord(name, .service(priority: 0, weight: 0, port: 3282, target: DNSName("192.0.2.1"))),
      DNSRecord(name, .address([192, 0, 2, 1])), DNSRecord(name, .other(type: 99, [1, 2, 3])),
    ]
    let whole = [
      DNSMessage(questions: [question]),
      DNSMessage(
        flags: DNSMessage.multicastResponse, questions: [question], answers: records,
        additionals: records),
    ].compactMap { $0.encoded() }
    let pointing: [UInt8] =
      [0, 0, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 97, 0, 0, 16, 0, 1]
      + [0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 3, 2, 97, 98]
    return whole + [pointing]
  }

  private static func userDatas() throws -> [[UInt8]] {
    var seeds: [[UInt8]] = []
    for name in try RecordedSession.names() {
      let session = try RecordedSession(name)
      for side in RecordedSession.Side.allCases {
        if let data = session.handshake(of: side)?.userData { seeds.append(data) }
      }
    }
    return seeds
  }

  private static func texts() throws -> [[UInt8]] {
    let manifest = try JSONSerialization.jsonObject(
      with: Data(Fixtures.bytes("rooms/manifest.json")))
    var seeds = [
      #"{"key":"a\u00e4","message":"\ud83d\ude00","username":"\\","timestamp":1.5e3}"#,
      #"[1,-0,0.5,1e400,true,false,null,{"a":[]}]"#, "  { } ", "\"\\u0000\\ud800\"",
    ].map { Array($0.utf8) }
    func visit(_ value: Any) throws {
      if let object = value as? [String: Any] {
        if object["message"] is String {
          seeds.append(
            Array(try JSONSerialization.data(withJSONObject: object, options: .sortedKeys)))
        }
        for entry in object.sorted(by: { $0.key < $1.key }) { try visit(entry.value) }
      } else if let list = value as? [Any] {
        for entry in list { try visit(entry) }
      }
    }
    try visit(manifest)
    return Array(seeds.prefix(40))
  }

  /// Returns writers with a few entries, for each way to read them.
  private static func databases() throws -> [[UInt8]] {
    let tries = try encoded("trie-encoding").prefix(4)
    var seeds: [[UInt8]] = []
    for flags in UInt8(0)..<32 {
      for entries in [[0], [0, 0, 1, 1, 2], [32, 0, 1, 1, 0], Array(0..<96)] as [[UInt8]] {
        seeds.append([flags] + entries)
      }
      for trie in tries { seeds.append([flags, 0, 0, 4, 1, UInt8(min(trie.count, 254))] + trie) }
    }
    return seeds
  }

  /// Returns two ends that greet each other, and some more.
  private static func conversations() -> [[UInt8]] {
    let greeting: [UInt8] = [10, 0, 0, 0, 11]
    return (UInt8(0)..<16).flatMap { flags -> [[UInt8]] in
      let start: [UInt8] = [flags] + greeting
      return [
        start, start + [9, 1, 1, 5, 3, 10, 0, 0, 0], start + [8, 2, 9, 2, 0, 1, 1, 10, 0, 0, 0],
        start + [4, 1, 7, 3, 4, 1, 2, 3, 4, 7], start + [6, 80, 7, 12],
        start + [1, 0, 3, 2, 8, 5],
      ]
    }
  }

  /// Returns a peer that has everything and answers its requests.
  private static func replications() -> [[UInt8]] {
    (UInt8(0)..<8).map { flags in
      var seed: [UInt8] = [flags, 3, 7, 8, 4, 7]
      for block in UInt8(0)..<11 { seed += [1, block, 0, 7] }
      return seed + [9, 20, 7, 6, 100, 4, 5, 2, 0, 0, 1, 7, 10]
    }
  }
}
