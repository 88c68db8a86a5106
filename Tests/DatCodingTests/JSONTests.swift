import DatCoding
import DatTesting
import Foundation
import Testing

@Suite struct JSONReaderTests {
  private func string(_ text: String) throws(JSONError) -> String {
    try JSONReader.read(Array(text.utf8), within: .values) { reader throws(JSONError) in
      try reader.readString()
    }
  }

  private func number(_ text: String) throws(JSONError) -> Double {
    try JSONReader.read(Array(text.utf8), within: .values) { reader throws(JSONError) in
      try reader.readNumber()
    }
  }

  private func isJSON(_ text: String) -> Bool {
    (try? JSONReader.check(Array(text.utf8), within: .values)) != nil
  }

  @Test func `escapes are read as JavaScript reads them`() throws {
    #expect(try string(#""\u00e9\ud83d\ude00\n\/""#) == "é😀\n/")
    #expect(try string(#""\ud83d""#) == "\u{fffd}")
    #expect(try string(#""\ud83dx\ude00""#) == "\u{fffd}x\u{fffd}")
    #expect(try string(#""\ud83d\ud83d\ude00""#) == "\u{fffd}😀")
    #expect(try string(#" "" "#) == "")
    #expect(try string(#""\b\f\r\t\"\\""#) == "\u{8}\u{c}\r\t\"\\")
  }

  @Test func `numbers are the nearest doubles`() throws {
    #expect(try number("-12.5e2") == -1250)
    #expect(try number("0") == 0 && number("-0") == 0)
    #expect(try number("123456789012345") == 123_456_789_012_345)
    #expect(try number("1e999") == .infinity)
  }

  @Test(arguments: [
    "", " ", "01", "1 2", "-", "1.", ".5", "1e", "+1", "{", "[", "}", "]", "[1,]", "[,1]", "{,}",
    #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "{1:2}", "tru", "nul", "truefalse", #""a"#, #""\x""#,
    #""\u12g4""#, "\"\n\"", "'a'", "[1}", "{]", "NaN", "\u{feff}1", "[1 2]", #"{"a":1 "b":2}"#,
  ])
  func `what is no JSON is refused`(text: String) {
    #expect(!isJSON(text))
    #expect(throws: JSONError.self) { try JSONText.compact(Array(text.utf8)) }
  }

  @Test(arguments: [
    "{}", "[]", " [ ] ", #"{"a":{"b":[1,[2,{}],"x"]}}"#, "null", "true", "-0.5E+10", #"[[],[[]]]"#,
    "\t[\r\n1 , 2 ]",
  ])
  func `what is JSON is taken`(text: String) {
    #expect(isJSON(text))
  }

  @Test func `fields come in order, and what isn't read is passed over`() throws {
    let text =
      #" { "skip" : [1,{"x":"}"}] , "a\u0062" : "é" , "n":1, "n" : 2.5, "o":{"k":[3,4]} } "#
    var names: [String] = []
    var numbers: [Double] = []
    try JSONReader.read(Array(text.utf8), within: .values) { reader throws(JSONError) in
      try reader.readObject { name, reader throws(JSONError) in
        names.append(name.string)
        switch name {
        case "ab": #expect(try reader.readStringIfPresent() == "é")
        case "n": numbers.append(try reader.readNumber())
        case "o":
          try reader.readObject { name, reader throws(JSONError) in
            #expect(name == "k" && reader.kind == .array)
            try reader.readArray { reader throws(JSONError) in
              numbers.append(try reader.readNumber())
            }
          }
        default: #expect(try reader.readStringIfPresent() == nil)
        }
      }
    }
    #expect(names == ["skip", "ab", "n", "n", "o"])
    #expect(numbers == [1, 2.5, 3, 4])
  }

  @Test func `size and depth are bounded before anything is made of them`() throws {
    let bounds = JSONReader.Bounds(bytes: 100, depth: 3)
    func check(_ text: String) throws(JSONError) {
      try JSONReader.check(Array(text.utf8), within: bounds)
    }
    try check("[[[1]]]")
    #expect(throws: JSONError(.tooDeep(limit: 3), at: 3)) { try check("[[[[1]]]]") }
    #expect(throws: JSONError(.tooLong(limit: 100), at: 0)) {
      try check("\"\(String(repeating: "x", count: 99))\"")
    }
    for open in ["[", "{\"a\":", "[{\"a\":"] {
      let deep = Array(String(repeating: open, count: 1_000_000).utf8)
      #expect(throws: JSONError.self) { try JSONText.compact(deep) }
    }
    let fair = String(repeating: "[", count: 512) + String(repeating: "]", count: 512)
    #expect(try JSONText.compact(Array(fair.utf8)) == fair)
  }

  /// Names and values alike; a dictionary with such keys takes minutes.
  @Test func `a megabyte of combining marks in a name or a value costs linear time`() throws {
    let slow = slowText(bytes: 1 << 20)
    let text = Array(#"{"\#(slow)":1,"\#(slow)":"\#(slow)","b":"\#(slow)"}"#.utf8)
    let time = try processorTime {
      var found = 0
      try JSONReader.read(text, within: .values) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          if name == "b", try reader.readStringIfPresent() != nil { found += 1 }
        }
      }
      #expect(found == 1)
      let compact = try JSONText.compact(text)
      #expect(compact.utf8.count == text.count)
      #expect(JSONText.printable(compact).utf8.count == text.count)
    }
    #expect(time < (isSanitized ? 60 : 10), "\(time) s")
  }

  @Test(arguments: testSeeds(standard: 50))
  func `reads what Foundation reads, and never traps`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let alphabet = Array(#"{{}}[[]]"",,::\u0019dtruefalsenul-+.eE "#.utf8)
    for _ in 0..<400 {
      let bytes = (0..<Int.random(in: 0..<24, using: &random)).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      let compact = try? JSONText.compact(bytes)
      #expect(((try? JSONReader.check(bytes, within: .values)) != nil) == (compact != nil))
      guard let compact else { continue }
      let value = try JSONSerialization.jsonObject(
        with: Data(compact.utf8), options: .fragmentsAllowed)
      _ = value
      #expect(try JSONText.compact(Array(compact.utf8)) == compact)
    }
  }
}

@Suite struct JSONTextTests {
  private func compact(_ text: String) throws -> String { try JSONText.compact(Array(text.utf8)) }

  @Test func `text is written as JavaScript writes it`() throws {
    #expect(
      try compact(#" { "b" : "\u00e9\/\u0001\n" , "a":[ 1.0 , 2e2,-0,1e21, 1.5e-7 ] } "#)
        == #"{"b":"é/\u0001\n","a":[1,200,0,1e+21,1.5e-7]}"#)
    #expect(try compact(#""\ud800 \u2028""#) == "\"\\ud800 \u{2028}\"")
  }

  @Test(arguments: [
    "9007199254740993", "-9007199254740993", "12345678901234567890", "0.10000000000000000555",
    "1.00000000000000000001", "123456789012345678901234567890.5", "1e-400", "4.9e-325",
  ])
  func `a number that a double can't hold stays as it is written`(number: String) throws {
    #expect(try compact("[\(number)]") == "[\(number)]")
  }

  @Test(
    arguments: [
      ("9007199254740992", "9007199254740992"), ("9007199254740994", "9007199254740994"),
      ("1e400000000000000000000", nil), ("-1e999", nil), ("0e99999999999999999999", "0"),
      ("1E5", "100000"), ("100000000000000000000", "100000000000000000000"), ("0.1", "0.1"),
      ("5e-324", "5e-324"), ("1.7976931348623157e308", "1.7976931348623157e+308"),
      ("0.000001", "0.000001"), ("1e-7", "1e-7"),
    ] as [(String, String?)])
  func `a number that a double holds is written as JavaScript writes it`(
    number: String, expected: String?
  ) throws {
    if let expected {
      #expect(try compact(number) == expected)
    } else {
      #expect(throws: JSONError.self) { try compact(number) }
    }
  }

  @Test func `bytes that are not UTF-8 are no JSON`() {
    #expect(throws: JSONError.self) { try JSONText.compact([0x22, 0xff, 0x22]) }
  }

  @Test func `what is printed hides nothing and means the same`() throws {
    let text = "\u{7f}\u{9b}31m\u{202e}\u{2028}\u{200b}\u{feff}\u{e0041} é 😀"
    let json = JSON.string(text).text
    #expect(json == #""\u007f\u009b31m\u202e\u2028\u200b\ufeff\udb40\udc41 é 😀""#)
    #expect(try compact(json) == "\"\(text)\"")
    #expect(JSON.raw("\"\(text)\"").text == json)
    #expect(JSON.members([(text, [1, true, nil_])]).text == "{\(json):[1,true,null]}")
  }

  private var nil_: JSON { .null }
}

@Suite struct NameCheckTests {
  @Test func `names with very many marks are kept from Foundation's decoder, values are not`()
    throws
  {
    let (fair, slow) = (slowText(bytes: 60), slowText(bytes: 1 << 20))
    let text = #"{"\#(fair)":"\#(slow)","é":"ü"}"#
    #expect(try JSONText.decode([String: String].self, from: Array(text.utf8)).count == 2)
    let escaped = String(repeating: #"\u0301"#, count: 33)
    for text in [#"{"\#(slow)":"1"}"#, #"{"a":"b","\#(escaped)":"1"}"#, #"{"é":"#] {
      let time = processorTime {
        #expect(throws: DecodingError.self) {
          try JSONText.decode([String: String].self, from: Array(text.utf8))
        }
      }
      #expect(time < (isSanitized ? 20 : 2), "\(time) s")
    }
  }
}
