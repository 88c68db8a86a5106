import DatTesting
import Foundation
import HypercoreCrypto
import Testing

@testable import Saga

@Suite struct UserDataTests {
  private let key = PublicKey(bytes: (0..<32).map { UInt8($0 * 7 & 0xff) })!

  private func read(_ text: String) -> UserData? { UserData(bytes: Array(text.utf8)) }

  private var numbers: String { key.bytes.map(String.init).joined(separator: ",") }

  @Test func `times are dates as well`() {
    #expect(UserData(key: key, username: "", timestamp: 1_500).date.timeIntervalSince1970 == 1.5)
    // A time that no calendar holds is no reason to trap.
    for timestamp in [Int64.min, -1, 0, .max] {
      let user = UserData(key: key, username: "", timestamp: timestamp)
      #expect(user.date.timeIntervalSince1970.isFinite)
    }
  }

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
    for deep in [String(repeating: "[", count: 60_000), String(repeating: "{\"a\":", count: 9_000)]
    {
      #expect(read(#"{"a":\#(deep)"#) == nil)
      #expect(MessageContent(value: Array(#"{"message":"x","a":\#(deep)"#.utf8)) == nil)
    }
    var random = SeededRandom(seed: 1)
    let alphabet = Array(#"{}[]":,\u0019dtrufalsen-+.eE "#.utf8)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      _ = UserData(bytes: bytes)
      _ = MessageContent(value: bytes)
      _ = MessageContent(operationValue: bytes)
    }
  }

  @Test func `names that differ in bytes alone are two, and cost what they are long`() {
    // The same character to `String`: one scalar, and two.
    let names = ["\u{e9}", "e\u{301}"].map { UserData(key: key, username: $0, timestamp: 1) }
    #expect(names[0] != names[1])
    #expect(Set(names).count == 2)
  }
}
