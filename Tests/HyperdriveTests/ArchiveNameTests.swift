import HypercoreCrypto
import Hyperdrive
import Testing

/// Answers of hosts and of DNS about names, and links with names.
@Suite struct ArchiveNameTests {
  private let key = String(repeating: "0a", count: 32)

  private func file(_ text: String) -> ArchiveNameAnswer? {
    ArchiveNameAnswer(file: Array(text.utf8))
  }

  @Test func `a host's file names a key in its first line and a lifetime in its second`() throws {
    #expect(file("dat://\(key)\nttl=60\n")?.lifetime == 60)
    #expect(file("dat://\(key)/\r\nTTL=60\r\n")?.key.hex == key)
    #expect(file("DAT://\(key.uppercased())")?.lifetime == 3600)
    #expect(file("dat://\(key)\nttl=0")?.lifetime == 0)
    #expect(file("dat://\(key)\nttl=99999999999999999999999999")?.lifetime == 604_800)
    #expect(file("dat://\(key)\nttl=-1")?.lifetime == 3600)
    #expect(file("dat://\(key)\nttl=1x")?.lifetime == 3600)
  }

  @Test func `a file that says something else names nothing`() {
    for text in [
      "", "\n", "dat://", "dat://\(key)0", "dat://\(key.dropLast())", "dat://\(key)/page",
      "https://\(key)", "<html>dat://\(key)", "\ndat://\(key)",
    ] { #expect(file(text) == nil, "\(text)") }
    #expect(ArchiveNameAnswer(file: [UInt8](repeating: 0xff, count: 10_000)) == nil)
  }

  @Test func `of DNS records the first counts that has a key`() {
    func answer(_ texts: [String]) -> ArchiveNameAnswer? {
      ArchiveNameAnswer(records: texts.map { (Array($0.utf8), 7) })
    }
    let other = String(repeating: "0b", count: 32)
    #expect(answer(["v=spf1 -all", "datkey=\(key)", "datkey=\(other)"])?.key.hex == key)
    #expect(answer(["x datkey=short datkey=\(key) y"])?.lifetime == 7)
    #expect(answer(["datkey=\(key.dropLast())"]) == nil)
    #expect(answer(["key=\(key)"]) == nil && answer([]) == nil)
    let long = String(repeating: "datkey=", count: 9000)
    #expect(answer([long]) == nil)
  }

  @Test func `a link has a name where it has no key`() throws {
    let link = try #require(NamedLink("dat://Example.COM:80/a%20b?x"))
    #expect(link.host == "example.com:80" && link.rest == "/a%20b?x")
    let named = try #require(file("dat://\(key)"))
    #expect(ArchiveLink(link.link(with: named.key))?.path == "/a b")
    let old = try #require(NamedLink("dat://site.org+12/x"))
    #expect(ArchiveLink(old.link(with: named.key))?.version == 12)
    for text in [
      "dat://\(key)/x", "example.com", "https://example.com", "dat://", "dat:///x", "dat://a b",
      "dat://user@host", "dat://.x", "dat://" + String(repeating: "a", count: 254), "dat://a\\b",
    ] { #expect(NamedLink(text) == nil, "\(text)") }
  }
}
