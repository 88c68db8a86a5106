import DatTesting
import Foundation
import HyperDB
import RandomAccessStorage
import Testing

/// Keys and values that are not what they should be: they are shown as they are, and the others still work.
@Suite struct DbBytesTests {
  private let folder: TemporaryFolder
  private var dir: String { folder.path + "/db" }

  init() throws { folder = try TemporaryFolder() }

  private func run(_ arguments: String..., input: String = "") async throws -> [String] {
    let result = try await DatProcess.run(["db"] + arguments, input: input)
    try #require(result.status == 0, "\(arguments): \(result.errors)")
    #expect(result.errors.isEmpty, "\(arguments): \(result.errors)")
    return result.lines
  }

  private func refused(_ arguments: String..., input: String = "") async throws -> String {
    let result = try await DatProcess.run(["db"] + arguments, input: input)
    #expect(result.status != 0, "\(arguments)")
    return result.errors
  }

  /// Makes a database with correct entries, and between them values and keys that are mere bytes.
  private func makeOdd() async throws {
    let db = try await HyperDB.open(folder: dir)
    try await db.put("a", Array("1".utf8))
    try await db.put("bad", [0xff, 0x00])
    try await db.put("text", Array("no json \u{202e}".utf8))
    try await db.put([0x6b, 0xff], Array("2".utf8))
    try await db.put([0x6b, 0xfe], Array("3".utf8))
    try await db.put("z", Array(#"{"n":9007199254740993,"c":"\#u{9b}31m\#u{7f}\#u{202e}"}"#.utf8))
    await db.close()
  }

  @Test func `a value that is no JSON is shown as base64, marked, and the rest goes on`()
    async throws
  {
    try await makeOdd()
    for command in ["list", "history", "export"] {
      let lines = try await run(command, dir, "--json")
      #expect(lines.count == 6, "\(command)")
      let text = lines.joined(separator: "\n")
      #expect(text.contains(#""value":"/wA=","valueEncoding":"base64""#), "\(command)")
      #expect(text.contains(#""key":"a/8=","keyEncoding":"base64","value":2"#), "\(command)")
      #expect(text.contains(#""key":"a/4=","keyEncoding":"base64","value":3"#), "\(command)")
      #expect(text.contains("9007199254740993"), "\(command)")
    }
    #expect(try await run("diff", dir, "--json").count == 6)
    let people = try await run("list", dir)
    #expect(people.contains("bad: (no JSON; base64) /wA="), "\(people)")
    #expect(people.contains("(no UTF-8; base64) a/8=: 2"), "\(people)")
    #expect(try await run("get", dir, "bad") == ["(no JSON; base64) /wA="])
    #expect(try await run("get", dir, "bad", "--encoding", "utf8") == ["(no UTF-8; base64) /wA="])
  }

  @Test func `controls, DEL and direction marks are escaped in what is printed`() async throws {
    try await makeOdd()
    for command in ["list", "history", "export"] {
      for form in [["--json"], []] {
        for encoding in ["json", "utf8"] {
          let result = try await DatProcess.run(
            ["db", command, dir, "--encoding", encoding] + form)
          #expect(result.status == 0)
          for line in result.lines {
            #expect(
              !line.unicodeScalars.contains {
                $0.value < 0x20 || (0x7f...0x9f).contains($0.value) || $0 == "\u{202e}"
              }, "\(command) \(form): \(line)")
          }
        }
      }
    }
    let value = try await run("get", dir, "z", "--json")
    #expect(value[0].contains(#"\u009b31m\u007f\u202e"#))
  }

  @Test func `what is exported is imported again byte for byte`() async throws {
    try await makeOdd()
    for encoding in ["json", "utf8", "binary"] {
      let copy = folder.path + "/copy-" + encoding
      let lines = try await run("export", dir, "--encoding", encoding)
      _ = try await run(
        "import", copy, "--encoding", encoding, input: lines.joined(separator: "\r\n"))
      #expect(Set(try await run("export", copy, "--encoding", encoding)) == Set(lines))
      let (one, other) = (
        try await HyperDB.open(folder: dir, access: .readOnly),
        try await HyperDB.open(folder: copy, access: .readOnly)
      )
      for try await nodes in one.list() {
        let key = nodes[0].keyBytes
        #expect(try await other.get(key).map(\.value) == nodes.map(\.value), "\(key)")
      }
      await one.close()
      await other.close()
    }
  }

  @Test func `a key that is no text is got, put and deleted by its base64`() async throws {
    try await makeOdd()
    #expect(try await run("get", dir, "a/8=", "--base64-key") == ["2"])
    #expect(try await run("get", dir, "k\u{fffd}").isEmpty)
    _ = try await run("put", dir, "a/8=", "20", "--base64-key")
    #expect(try await run("get", dir, "a/8=", "--base64-key") == ["20"])
    #expect(try await run("get", dir, "a/4=", "--base64-key") == ["3"])
    _ = try await run("del", dir, "a/8=", "--base64-key")
    #expect(try await run("get", dir, "a/8=", "--base64-key").isEmpty)
    #expect(try await refused("get", dir, "!", "--base64-key").contains("no base64"))
  }

  @Test func `what can't be kept as it is is refused`() async throws {
    #expect(try await refused("put", dir, "", "1").contains("at least one character"))
    #expect(!FileManager.default.fileExists(atPath: dir))
    _ = try await run("put", dir, "a", "1")
    #expect(try await refused("get", dir, "").contains("at least one character"))
    #expect(try await refused("del", dir, "").contains("at least one character"))
    for (line, reason) in [
      (#"{"key":"\ud800","value":1}"#, "half of a character"),
      (#"{"key":"a","keyEncoding":"hex","value":1}"#, "JSON"),
      (#"{"key":"a!","keyEncoding":"base64","value":1}"#, "no base64"),
      (#"{"key":"a","value":1e999}"#, "beyond"), (#"["a"]"#, "no JSON object"),
      ("{", "no JSON object"),
      (#"{"key":1,"value":1}"#, "is a string"),
    ] {
      let errors = try await refused("import", dir, input: line + "\n")
      #expect(errors.contains("Line 1") && errors.contains(reason), "\(line): \(errors)")
    }
    #expect(try await refused("put", dir, "a", "1e999").contains("beyond"))
  }

  @Test func `numbers stay as they are written, from put to export`() async throws {
    _ = try await run("put", dir, "n", "[9007199254740993, 0.1, 12345678901234567890]")
    let value = "[9007199254740993,0.1,12345678901234567890]"
    #expect(try await run("get", dir, "n") == [value])
    #expect(try await run("export", dir) == [#"{"key":"n","value":\#(value)}"#])
  }

  @Test func `a byte order mark and carriage returns are no part of what is imported`() async throws
  {
    _ = try await run(
      "import", dir,
      input: "\u{feff}{\"key\":\"a\",\"value\":1}\r\n\r\n{\"key\":\"b\",\"value\":2}\r\n")
    #expect(try await run("list", dir).sorted() == ["a: 1", "b: 2"])
    _ = try await run("put", dir, "c", input: "\u{feff}{\"x\":\r\n1}\r\n")
    #expect(try await run("get", dir, "c") == [#"{"x":1}"#])
  }
}
