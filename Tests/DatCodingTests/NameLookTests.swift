import DatCoding
import DatTesting
import Testing

@Suite struct NameLookTests {
  private func look(_ name: String) -> NameLook { NameLook(of: ForeignText(name)) }

  @Test(arguments: [
    ("ana", "аna"), ("ana", "АNA"), ("ana", "Ana"), ("ana", "áná"), ("ana", "a n a"),
    ("ana", "ａｎａ"),
    ("ana", "𝐚𝐧𝐚"), ("ana", "an\u{200b}a"), ("ana", "ana\u{1160}"), ("ana", "\u{202e}ana"),
    ("ana", "ana\u{fe0f}"), ("ana", "ana."), ("tom", "torn"), ("Mary", "RNary"), ("fin", "ﬁn"),
    ("bill", "biII"), ("bill", "bi11"), ("bill", "bi||"), ("leo", "lеο"), ("leo", "1e0"),
    ("scope", "ѕсоре"), ("œuf", "oeuf"), ("ana_b", "anab"), ("Ĳ", "ij"), ("ⅷ", "viii"),
    ("maria", "mаriа"), ("ꜱam", "sam"), ("日本", "⽇本"), ("o'neil", "oneil"),
  ])
  func `names that look alike have one look`(one: String, other: String) {
    #expect(look(one) == look(other))
  }

  @Test(arguments: [
    ("ana", "anna"), ("ana", "ena"), ("bob", "bod"), ("李", "王"), ("Иван", "Ирина"), ("a", "b"),
    ("tom", "ton"), ("ana", "ana2"),
  ])
  func `names that look different have two`(one: String, other: String) {
    #expect(look(one) != look(other))
  }

  @Test(arguments: [
    "аna", "pаypal", "Ωmega", "gοοgle", "ирinа", "aбв", "한a글а", "αlpha",
  ])
  func `letters of scripts that no language mixes are noticed`(name: String) {
    #expect(look(name).mixesScripts)
  }

  @Test(arguments: [
    "ana", "Иван", "Ωμέγα", "日本語のカナ", "李小龙", "김철수", "ana 😀 1!", "müller-lüdenscheidt", "नमस्ते",
    "محمد", "עמית", "", "123", "ＡＢＣ", "ʻokina", "o͡i",
  ])
  func `the writing of one language is not taken for a mix`(name: String) {
    #expect(!look(name).mixesScripts)
  }

  @Test func `a name counts as far as it is shown`() {
    let start = String(repeating: "x", count: 40)
    #expect(look(start + "a") == look(start + "b"))
    #expect(
      look(String(repeating: "x", count: 39) + "a") != look(String(repeating: "x", count: 39) + "b")
    )
    let time = processorTime {
      let slow = slowText(bytes: 1 << 20)
      #expect(look(slow) == look(slow + "b"))
    }
    #expect(time < (isSanitized ? 20 : 2), "\(time) s")
  }

  @Test(arguments: testSeeds(standard: 20))
  func `any characters have a look, of bounded length`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<200 {
      let scalars = (0..<Int.random(in: 0..<12, using: &random)).compactMap { _ in
        Unicode.Scalar(UInt32.random(in: 0..<0x20000, using: &random))
      }
      let look = look(String(String.UnicodeScalarView(scalars)))
      #expect(look.text.utf8.count < 1 << 14)
    }
  }
}
