import DatCoding
import DatTesting
import Foundation
import HypercoreCrypto
import Testing

@Suite struct StreamCipherTests {
  @Test(arguments: testSeeds(standard: 40))
  func `a stream cut at random places is encrypted as in one piece`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let key = try #require(PublicKey(bytes: random.bytes(32)))
    let nonce = try #require(Nonce(bytes: random.bytes(24)))
    let plain = random.bytes(Int.random(in: 0...2000, using: &random))

    var whole = plain
    var cipher = StreamCipher(key: key, nonce: nonce)
    whole.withUnsafeMutableBytes { cipher.apply(to: $0) }

    var pieces = plain
    var cutting = StreamCipher(key: key, nonce: nonce)
    pieces.withUnsafeMutableBytes { bytes in
      var start = 0
      while start < bytes.count {
        let end = min(start + Int.random(in: 0...150, using: &random), bytes.count)
        cutting.apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]))
        start = end
      }
    }
    #expect(pieces == whole)

    var back = StreamCipher(key: key, nonce: nonce)
    whole.withUnsafeMutableBytes { back.apply(to: $0) }
    #expect(whole == plain)
  }

  @Test func `one keystream after another nonce or key is another`() throws {
    func stream(_ key: UInt8, _ nonce: UInt8) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: 100)
      var cipher = StreamCipher(
        key: try #require(PublicKey(bytes: [UInt8](repeating: key, count: 32))),
        nonce: try #require(Nonce(bytes: [UInt8](repeating: nonce, count: 24))))
      bytes.withUnsafeMutableBytes { cipher.apply(to: $0) }
      return bytes
    }
    #expect(try Set([stream(1, 1), stream(1, 2), stream(2, 1)]).count == 3)
  }

  /// A recorded encrypted stream starts with Feed in clear and goes on with a Handshake: its first
  /// bytes, decrypted, have the Handshake's header and 32-byte id.
  @Test func `recorded streams decrypt to a handshake`() throws {
    struct Session: Decodable {
      struct Chunk: Decodable {
        var from: String
        var bytes: Data
      }
      var key: String
      var encrypted: Bool?
      var chunks: [Chunk]
    }
    var seen = 0
    let folder = Fixtures.url("sessions")
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    where name.hasSuffix(".json") {
      let session = try Fixtures.json("sessions/\(name)", as: Session.self)
      if session.encrypted == false { continue }
      for side in ["a", "b"] {
        let stream = session.chunks.filter { $0.from == side }.flatMap { Array($0.bytes) }
        // Length, header, key field of 34 bytes, nonce field of 26.
        let feedCount = 62
        let nonce = try #require(Nonce(bytes: stream[38..<feedCount]))
        var rest = Array(stream[feedCount...])
        var cipher = StreamCipher(key: try #require(PublicKey(hex: session.key)), nonce: nonce)
        rest.withUnsafeMutableBytes { cipher.apply(to: $0) }
        let prefix = rest.withUnsafeBytes { Varint.read($0) }
        guard case .value(_, let length) = prefix else {
          Issue.record("\(name), side \(side)")
          continue
        }
        #expect(rest[length..<length + 3] == [0x01, 0x0a, 0x20], "\(name), side \(side)")
        seen += 1
      }
    }
    #expect(seen > 0)
  }
}
