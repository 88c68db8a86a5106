import DatTesting
import DatWeb
import Foundation
import HypercoreCrypto
import Hyperdrive
import Testing

/// An archive in a browser.
@Suite(.timeLimit(.minutes(1))) struct ArchiveServingTests {
  private func serving(
    isOwn: Bool = false, _ body: (TestServer, Archive) async throws -> Void
  ) async throws {
    let archive = try await Archive.inMemory()
    try await archive.write("/docs/one.txt", Array("first".utf8))
    try await archive.write("/docs/one.txt", Array("0123456789".utf8))
    try await archive.write("/page.html", Array("<p>hi".utf8))
    try await archive.write("/docs/<b>&\u{202e}", Array("x".utf8))
    try await archive.write("/evil.example/x", Array("x".utf8))
    let server = ArchiveServer(archive: archive, isOwn: isOwn, port: 0)
    let (urls, continuation) = AsyncStream<String>.makeStream()
    let running = Task {
      defer { continuation.finish() }
      try await server.run { continuation.yield($0) }
    }
    let url = try #require(await urls.first { _ in true })
    let port = try #require(URL(string: url)?.port)
    let address = WebAddress(host: "127.0.0.1", port: port, url: url)
    try await body(TestServer(address: address), archive)
    running.cancel()
    _ = await running.result
  }

  @Test func `files, parts of files, folders and older versions are shown`() async throws {
    try await serving { server, archive in
      let file = try await server.get("/docs/one.txt")
      #expect(file.status == 200 && file.body == "0123456789")
      #expect(file.headers["content-type"] == "text/plain; charset=utf-8")
      #expect(file.headers["hyperdrive-key"] == archive.key.hex)
      let part = try await server.get("/docs/one.txt", changing: ["Range": "bytes=2-4"])
      #expect(part.status == 206 && part.body == "234")
      #expect(part.headers["content-range"] == "bytes 2-4/10")
      #expect(try await server.get("/docs/one.txt", changing: ["Range": "bytes=-3"]).body == "789")
      let end = try await server.get("/docs/one.txt", changing: ["Range": "bytes=8-99"])
      #expect(end.body == "89" && end.headers["content-range"] == "bytes 8-9/10")
      #expect(try await server.get("/docs/one.txt", changing: ["Range": "bytes=10-"]).status == 416)
      let tag = file.headers["etag"] ?? ""
      #expect(try await server.get("/docs/one.txt", changing: ["If-None-Match": tag]).status == 304)
      #expect(try await server.get("/docs/one.txt?version=1").body == "first")
      #expect(try await server.get("/docs/one.txt?version=99").status == 404)
      let folder = try await server.get("/docs")
      #expect(folder.status == 302 && folder.headers["location"] == "/docs/")
      let listing = try await server.get("/docs/")
      #expect(listing.status == 200 && listing.body.contains("one.txt"))
      #expect(listing.body.contains("&lt;b&gt;&amp;") && !listing.body.contains("<b>"))
      #expect(!listing.body.unicodeScalars.contains("\u{202e}"))
      #expect(listing.body.contains(#"<a href="./one.txt">one.txt</a></td><td>10</td>"#))
      #expect(listing.body.contains(#"<a href="./%3Cb%3E%26%E2%80%AE">"#))
      #expect(listing.body.contains("?version=4") && !listing.body.contains("?version=6"))
      let first = try await server.get("/?version=1").body
      #expect(first.contains(#"<a href="./docs/?version=1">docs/</a></td><td></td>"#))
      #expect(first.contains("?version=0") && first.contains("?version=2"))
      let empty = try await server.get("/?version=0").body
      #expect(empty.contains("?version=1") && !empty.contains("earlier"))
      #expect(try await server.get("/none").status == 404)
      #expect(try await server.get("/%zz").status == 400)
    }
  }

  @Test func `other names, other methods and ways out are refused, and foreign pages are boxed in`()
    async throws
  {
    try await serving { server, _ in
      #expect(try await server.get("/", changing: ["Host": "evil.example"]).status == 421)
      #expect(try await server.post("/docs/one.txt", "{}").status == 405)
      #expect(try await server.get("/../../etc/passwd").status == 404)
      let away = try await server.get("//evil.example")
      #expect(away.status == 302 && away.headers["location"] == "/evil.example/")
      let page = try await server.get("/page.html")
      #expect(page.headers["content-security-policy"]?.hasPrefix("sandbox;") == true)
      #expect(page.headers["x-content-type-options"] == "nosniff")
    }
    try await serving(isOwn: true) { server, _ in
      let page = try await server.get("/page.html")
      #expect(page.headers["content-security-policy"] == nil)
    }
  }

  @Test func `dat json names the root of the site and the page for what is missing`() async throws {
    try await serving { server, archive in
      try await archive.write(
        "/dat.json", Array(#"{"web_root":"/docs","fallback_page":"/page.html"}"#.utf8))
      #expect(try await server.get("/one.txt").body == "0123456789")
      let missing = try await server.get("/none")
      #expect(missing.status == 200 && missing.body == "<p>hi")
    }
  }

  @Test(arguments: ["X-Half: ", "\r\n"])
  func `half and whole requests by the hundred keep nobody from an archive`(end: String)
    async throws
  {
    try await serving { server, _ in
      var crowd: [LoopbackSocket] = []
      for _ in 0..<300 {
        let socket = try LoopbackSocket(server.port)
        socket.send("GET /docs/one.txt HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\n\(end)")
        crowd.append(socket)
        guard crowd.count.isMultiple(of: 50) else { continue }
        #expect(try await server.get("/docs/one.txt").body == "0123456789")
      }
    }
  }

  @Test func `a server ends in order while connections arrive`() async throws {
    let archive = try await Archive.inMemory()
    for _ in 0..<40 {
      let (urls, continuation) = AsyncStream<String>.makeStream()
      let running = Task {
        try await ArchiveServer(archive: archive, isOwn: true, port: 0).run {
          continuation.yield($0)
        }
      }
      let url = try #require(await urls.first { _ in true })
      let port = try #require(URL(string: url)?.port)
      // More than are handed out before the end.
      let crowd = try (0..<40).map { _ in try LoopbackSocket(port) }
      running.cancel()
      _ = await running.result
      _ = crowd
    }
  }
}
