import DatTesting
import HypercoreCrypto
import Testing

@testable import Saga

@Suite struct UserDataTests {
  private let key = PublicKey(bytes: (0..<32).map { UInt8($0 * 7 & 0xff) })!

  private func read(_ text: String) -> UserData? { UserData(bytes: Array(text.utf8)) }

  private var numbers: String { key.bytes.map(String.init).joined(separator: ",") }

  @Test func `user data is written as the workshop writes it, and read back`() {
    let data = UserData(key: key, username: "ana \"✨\" /\n", timestamp: 1_795_473_316_023)
    let text = String(decoding: data.bytes, as: UTF8.self)
    #expect(
      text
        == #"{"key":{"type":"Buffer","data":[\#(numbers)]},"username":"ana \"✨\" /\n","timestamp":1795473316023}"#
    )
    #expect(UserData(bytes: data.bytes) == data)
  }

  @Test func `a bare list of numbers is a key, too`() {
    #expect(read(#"{"key":[\#(numbers)],"username":"x","timestamp":1}"#)?.key == key)
  }

  @Test(arguments: [
    "", "null", "[]", "{", "{}", #"{"key":"abc"}"#, #"{"key":[1,2,3]}"#, #"{"key":{"data":[]}}"#,
    #"{"key":{"data":"x"}}"#, #"{"key":null,"username":"x"}"#,
  ])
  func `what has no key of 32 bytes is refused`(text: String) {
    #expect(read(text) == nil)
  }

  @Test func `numbers out of range make no key`() {
    let list = [256] + key.bytes.dropFirst().map { Int($0) }
    #expect(read(#"{"key":\#(list)}"#) == nil)
    #expect(read(#"{"key":\#([-1] + list.dropFirst())}"#) == nil)
    #expect(
      read(#"{"key":[0.5,\#(numbers.split(separator: ",").dropFirst().joined(separator: ","))]}"#)
        == nil)
  }

  @Test func `a megabyte of name is refused, a long one is cut, other types are no name`() {
    #expect(
      read(#"{"key":[\#(numbers)],"username":"\#(String(repeating: "x", count: 1 << 20))"}"#) == nil
    )
    let long = read(#"{"key":[\#(numbers)],"username":"\#(String(repeating: "é", count: 5000))"}"#)
    #expect(long?.username.utf8.count ?? 0 <= 1026)
    #expect(read(#"{"key":[\#(numbers)],"username":{"a":1},"timestamp":"now"}"#)?.username == "")
    #expect(read(#"{"key":[\#(numbers)],"timestamp":1e300}"#)?.timestamp == 0)
  }

  @Test func `deep nesting ends, and random bytes never trap`() {
    #expect(FlatJSON.value(Array(String(repeating: "[", count: 100_000).utf8)) == nil)
    #expect(
      FlatJSON.value(
        Array((String(repeating: "[", count: 20) + String(repeating: "]", count: 20)).utf8)) != nil)
    var random = SeededRandom(seed: 1)
    let alphabet = Array(#"{}[]":,\u0019dtrufalsen-+.eE "#.utf8)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      _ = FlatJSON.value(bytes)
      _ = UserData(bytes: bytes)
      _ = MessageContent(value: bytes)
    }
  }

  @Test func `escapes are read as JavaScript reads them`() {
    #expect(FlatJSON.value(Array(#""\u00e9\ud83d\ude00\n\/""#.utf8)) == .string("é😀\n/"))
    #expect(FlatJSON.value(Array(#""\ud83d""#.utf8)) == .string("\u{fffd}"))
    #expect(FlatJSON.value(Array(#"-12.5e2"#.utf8)) == .number(-1250))
    #expect(FlatJSON.value(Array("01".utf8)) == nil)
    #expect(FlatJSON.value(Array("1 2".utf8)) == nil)
  }
}
