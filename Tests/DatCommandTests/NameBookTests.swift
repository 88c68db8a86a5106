import DatCoding
import DatTesting
import HypercoreCrypto
import Testing

@testable import dat

@Suite struct NameBookTests {
  private func key(_ number: Int) -> PublicKey {
    PublicKey(bytes: (0..<32).map { UInt8(truncatingIfNeeded: number >> (8 * ($0 % 4))) })!
  }

  @Test(arguments: ["аna", "an\u{1160}a", "ANA", "a\u{200b}na", "ａｎａ", "á.na"])
  func `a name needs its key if another's looks the same`(other: String) {
    var names = NameBook()
    names.learn(ForeignText("ana"), key(1))
    #expect(!names.needsKey(ForeignText("ana"), key(1)))
    names.learn(ForeignText(other), key(2))
    #expect(names.needsKey(ForeignText("ana"), key(1)))
    #expect(names.needsKey(ForeignText(other), key(2)))
    #expect(!names.needsKey(ForeignText("bea"), key(3)))
  }

  @Test func `the same key may go by many names`() {
    var names = NameBook()
    for name in ["ana", "Ana", "ána", "ana"] { names.learn(ForeignText(name), key(1)) }
    #expect(!names.needsKey(ForeignText("ana"), key(1)))
  }

  @Test func `letters of several scripts have their key even alone`() {
    var names = NameBook()
    names.learn(ForeignText("pаul"), key(1))
    #expect(names.needsKey(ForeignText("pаul"), key(1)))
  }

  @Test func `strangers with ever new names fill no memory, and then every name has its key`() {
    var names = NameBook()
    for number in 0..<11_000 { names.learn(ForeignText("name \(number)"), key(number)) }
    #expect(names.needsKey(ForeignText("name 3"), key(3)))
    #expect(names.needsKey(ForeignText("somebody"), key(20_000)))
  }
}

@Suite struct SlowNameTests {
  /// Typed text and names are processed in linear time, whatever they are.
  @Test func `a megabyte of combining marks is read as a line and completed in linear time`() {
    let slow = slowText(bytes: 1 << 20)
    let time = processorTime {
      if case .message(let text) = ChatLine(slow) { #expect(text.utf8.count == slow.utf8.count) }
      if case .unknown(let word) = ChatLine("/" + slow) {
        #expect(word.utf8.count == slow.utf8.count)
      }
      _ = ChatLine("/mute " + slow)
      #expect(ChatLine.completions(of: "a", after: "", names: [slow, slow + "b"]).isEmpty)
      #expect(SafeText.name(slow).utf8.count < 200)
    }
    #expect(time < (isSanitized ? 60 : 6), "\(time) s")
  }
}
