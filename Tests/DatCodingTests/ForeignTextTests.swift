import DatCoding
import DatTesting
import Testing

@Suite struct ForeignTextTests {
  @Test func `texts are compared, hashed and sorted by their bytes`() {
    let (one, other) = (ForeignText("\u{e9}"), ForeignText("e\u{301}"))
    #expect(one.string == other.string)
    #expect(one != other)
    #expect(Set([one, other, ForeignText("\u{e9}")]).count == 2)
    #expect(other < one && !(one < other) && !(one < one))
    #expect(ForeignText("") < ForeignText("a"))
    // By scalars, as the bytes of UTF-8 are in order.
    #expect(ForeignText("\u{ffff}") < ForeignText("\u{10000}"))
  }

  @Test func `a cut ends between two scalars`() {
    #expect(ForeignText("abc").cut(toBytes: 3).string == "abc")
    #expect(ForeignText("aé").cut(toBytes: 2).string == "a")
    #expect(ForeignText("👍👍").cut(toBytes: 7).string == "👍")
    #expect(ForeignText("👍").cut(toBytes: 0).string.isEmpty)
  }

  @Test func `pieces and ends are found by bytes`() {
    // To `String` the slash with a mark is no slash.
    let text = ForeignText("a/\u{301}b//c")
    #expect(text.split(separator: 0x2f).map(\.string) == ["a", "\u{301}b", "", "c"])
    #expect(text.split(separator: 0x2f, limit: 2).map(\.string) == ["a", "\u{301}b//c"])
    #expect(ForeignText("").split(separator: 0x2f).map(\.string) == [""])
    #expect(text.starts(with: "a/") && !text.starts(with: "a//"))
    #expect(ForeignText(" \t x \t").trimmed.string == "x")
    #expect(ForeignText(" \t").trimmed.string.isEmpty)
    #expect(ForeignText("ÄBC").asciiLowercased.string == "Äbc")
    #expect(ForeignText(" \u{3000}\n").isBlank && !ForeignText(" x").isBlank)
  }

  @Test func `what acts on other text or shows nothing is spelled out`() {
    #expect(ForeignText("a\u{1b}b\nc\u{202e}").line() == "a\\u{1b}b\\nc\\u{202e}")
    for value in [
      0, 7, 0x1b, 0x7f, 0x85, 0x9b, 0xad, 0x115f, 0x1160, 0x200b, 0x2028, 0x2029,
      0x202a, 0x202e, 0x2066, 0x2069, 0x2800, 0x3164, 0xfeff, 0xffa0, 0xe000, 0xe0041, 0x10ffff,
    ] {
      let scalar = Unicode.Scalar(UInt32(value))!
      let spelled = "a\\u{\(String(value, radix: 16))}b"
      #expect(ForeignText("a\(scalar)b").line() == spelled, "U+\(String(value, radix: 16))")
    }
  }

  @Test(arguments: ["👩‍👩‍👧", "❤️", "1️⃣", "می‌خواهم", "क्‍ष", "héllo", "नमस्ते", "🇩🇪"])
  func `what writing needs stays as it is`(text: String) {
    #expect(ForeignText(text).line().utf8.elementsEqual(text.utf8))
  }

  @Test func `a joiner or selector that joins nothing is spelled out`() {
    for text in ["a\u{200d}b", "a\u{200c}b", "a\u{fe0f}b", "\u{200d}", "👩\u{200d}\u{200d}"] {
      #expect(ForeignText(text).line().contains("\\u{"), "\(text)")
    }
  }

  @Test func `marks beyond 32 in a run are cut, and letters beyond the limit, with a sign`() {
    let marks = String(repeating: "\u{301}", count: 32)
    #expect(ForeignText("a\(marks)b").line().utf8.elementsEqual("a\(marks)b".utf8))
    #expect(ForeignText("a\(marks)\u{301}\u{301}b").line().utf8.elementsEqual("a\(marks)…b".utf8))
    #expect(ForeignText("abcd").line(limit: 4) == "abcd")
    #expect(ForeignText("abcde").line(limit: 4) == "abcd […]")
    #expect(ForeignText("éééé").line(limit: 2) == "éé […]")
    #expect(
      ForeignText("a\(marks)\u{301}b").withFewMarks.string.utf8.elementsEqual("a\(marks)b".utf8))
    #expect(ForeignText("héllo").withFewMarks == ForeignText("héllo"))
  }

  /// Quadratic code takes minutes for this; in a debug build, linear code takes a small part of a second.
  @Test func `a megabyte of combining marks costs linear time in everything`() {
    let slow = slowText(bytes: 1 << 20)
    let time = processorTime {
      let one = ForeignText(slow)
      let other = ForeignText(bytes: Array(slow.utf8) + [0x62])
      #expect(one != other && one < other)
      #expect(Set([one, other]).count == 2)
      #expect(one.line(limit: 100).utf8.count < 200)
      #expect(one.withFewMarks.utf8.count < 200)
      #expect(one.split(separator: 0x0a).count == 1)
      #expect(one.cut(toBytes: 100).utf8.count <= 100)
      #expect(one.asciiLowercased == one && one.trimmed == one && !one.isBlank)
    }
    #expect(time < (isSanitized ? 60 : 6), "\(time) s")
  }
}

@Suite struct TextLinesTests {
  private func lines(_ text: String) -> [String] {
    TextLines.all(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func `a line ends with a line feed, with or without a carriage return`() {
    #expect(lines("a\r\nb\nc") == ["a", "b", "c"])
    #expect(lines("a\r\n\r\nb\r\n") == ["a", "", "b"])
    #expect(lines("a\rb\n") == ["a\rb"])
    #expect(lines("") == [] && lines("\n") == [""] && lines("\r\n") == [""])
    #expect(lines("a\r") == ["a"])
  }

  @Test func `a byte order mark is no part of the text, and elsewhere it is`() {
    #expect(lines("\u{feff}a\r\nb") == ["a", "b"])
    #expect(lines("a\n\u{feff}b") == ["a", "\u{feff}b"])
    #expect(lines("\u{feff}") == [])
    #expect(TextLines.withoutMark(Array("\u{feff}a".utf8)) == [0x61])
  }

  @Test(arguments: testSeeds(standard: 50))
  func `in whatever pieces it comes, the lines are the same`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bytes = (0..<Int.random(in: 0..<200, using: &random)).map { _ in
      [0x0a, 0x0d, 0x61, 0xef, 0xbb, 0xbf].randomElement(using: &random)! as UInt8
    }
    var splitter = TextLines()
    var found: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Int.random(in: 1...8, using: &random)
      splitter.add(rest.prefix(count))
      rest = rest.dropFirst(count)
      while Bool.random(using: &random), let line = try splitter.next() { found.append(line) }
    }
    while let line = try splitter.next() { found.append(line) }
    if let last = try splitter.last() { found.append(last) }
    #expect(found == TextLines.all(bytes))
  }

  @Test func `a line without end is refused before it fills memory`() throws {
    var lines = TextLines(limit: 10)
    lines.add(Array(repeating: 0x61, count: 10) + [0x0a] + Array(repeating: 0x61, count: 11))
    #expect(try lines.next()?.count == 10)
    #expect(throws: TextLines.LineTooLong.self) { try lines.next() }
  }
}
