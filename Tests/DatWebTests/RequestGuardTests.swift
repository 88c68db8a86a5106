internal import DatCoding
@testable internal import DatWeb
internal import DatWebTesting
internal import HypercoreCrypto
internal import Testing

// Another page in the same browser can't read or post. (Attack 37.)

private let room = FakeRoom.key("ana")
private let messagesPath = "/api/rooms/\(room.hex)/messages"

private func fakeRoom() -> FakeRoom {
  FakeRoom("ana", room: room, messages: madeUpMessages(5, until: 1_700_000_000_000))
}

@Test func `data is given to a request with the secret, and not without`() async throws {
  try await TestServer.with(fakeRoom()) { server in
    #expect(try await server.get(messagesPath).status == 200)
    for secret in [nil, "", "wrong", String(server.secret.dropLast()), server.secret + "x"] {
      let answer = try await server.get(messagesPath, changing: ["Dat-Secret": secret])
      #expect(answer.status == 401)
      #expect(answer.errorCode == "noSecret")
      #expect(!answer.body.contains("made-up"))
    }
    // Not in the address either, where it would end up in logs and histories.
    let path = messagesPath + "?Dat-Secret=\(server.secret)&secret=\(server.secret)"
    #expect(try await server.get(path, changing: ["Dat-Secret": nil]).status == 401)
  }
}

@Test func `the secret travels only behind the address's fragment`() async throws {
  try await TestServer.with(fakeRoom()) { server in
    #expect(server.address.url == "http://127.0.0.1:\(server.port)/#\(server.secret)")
    #expect(server.secret.count >= 32)
    let page = try await server.get("/", changing: ["Dat-Secret": nil])
    #expect(!page.body.contains(server.secret))
  }
}

@Test func `a foreign name that was pointed here gets nothing, not even the page`() async throws {
  try await TestServer.with(fakeRoom()) { server in
    for host in [
      "evil.example", "evil.example:\(server.port)", "127.0.0.1", "127.0.0.1:1",
      "127.0.0.1.evil.example:\(server.port)", "localhost.evil.example:\(server.port)",
      "127.0.0.1:\(server.port).evil.example", "192.168.0.1:\(server.port)",
      "user@127.0.0.1:\(server.port)",
    ] {
      for path in [messagesPath, "/", "/main.js", "/api/start"] {
        let answer = try await server.get(path, changing: ["Host": host])
        #expect(answer.status == 403, "\(host)")
        #expect(answer.errorCode == "foreignHost")
      }
    }
    #expect(try await server.raw("GET / HTTP/1.0\r\nConnection: close\r\n\r\n").status == 403)
    for host in ["localhost:\(server.port)", "LOCALHOST:\(server.port)", "[::1]:\(server.port)"] {
      #expect(try await server.get(messagesPath, changing: ["Host": host]).status == 200)
    }
  }
}

@Test func `a page of another origin can neither read nor post, even with the secret`() async throws
{
  let fake = fakeRoom()
  try await TestServer.with(fake) { server in
    for origin in [
      "http://evil.example", "https://127.0.0.1:\(server.port)", "http://127.0.0.1:1", "null",
      "http://localhost:\(server.port)", "http://127.0.0.1:\(server.port)/",
    ] {
      let read = try await server.get(messagesPath, changing: ["Origin": origin])
      #expect(read.errorCode == "foreignOrigin", "\(origin)")
      let write = try await server.post(
        messagesPath, #"{"text":"x"}"#, changing: ["Origin": origin])
      #expect(write.errorCode == "foreignOrigin", "\(origin)")
      #expect(write.headers.keys.allSatisfy { !$0.hasPrefix("access-control") })
    }
    for site in ["cross-site", "same-site", "none"] {
      let answer = try await server.get(messagesPath, changing: ["Sec-Fetch-Site": site])
      #expect(answer.errorCode == "foreignOrigin", "\(site)")
    }
    let silent = try await server.post(messagesPath, #"{"text":"x"}"#, changing: ["Origin": nil])
    #expect(silent.errorCode == "foreignOrigin")
    #expect(await fake.messages.count == 5)
  }
}

@Test func `a post that is not said to be JSON is refused, and so is a preflight`() async throws {
  let fake = fakeRoom()
  try await TestServer.with(fake) { server in
    // The types that a form or a simple request of another page can have.
    for type in [
      nil, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
      "application/jsonp", "text/plain; application/json",
    ] {
      let answer = try await server.post(
        messagesPath, #"{"text":"x"}"#, changing: ["Content-Type": type])
      #expect(answer.status == 415, "\(type ?? "none")")
    }
    let preflight = try await server.send(
      "OPTIONS", messagesPath,
      ["Host": "127.0.0.1:\(server.port)", "Origin": "http://evil.example"],
      ["Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "dat-secret"],
      body: "")
    #expect(preflight.status == 403)
    #expect(preflight.headers.keys.allSatisfy { !$0.hasPrefix("access-control") })
    #expect(await fake.messages.count == 5)
    let type = "application/json; charset=utf-8"
    let answer = try await server.post(
      messagesPath, #"{"text":"x"}"#, changing: ["Content-Type": type])
    #expect(answer.status == 200)
    #expect(await fake.messages.count == 6)
  }
}

@Test func `every answer carries the strict policy and none allows framing or caching of data`()
  async throws
{
  try await TestServer.with(fakeRoom()) { server in
    for path in ["/", "/main.js", "/style.css", messagesPath, "/api/start", "/nothing", "/api/no"] {
      let answer = try await server.get(path)
      let policy = answer.headers["content-security-policy"] ?? ""
      #expect(policy.hasPrefix("default-src 'self'"), "\(path)")
      #expect(policy.contains("frame-ancestors 'none'"))
      #expect(policy.contains("require-trusted-types-for 'script'"))
      #expect(!policy.contains("unsafe") && !policy.contains("*") && !policy.contains("http"))
      #expect(answer.headers["x-content-type-options"] == "nosniff")
      #expect(answer.headers["referrer-policy"] == "no-referrer")
      #expect(answer.headers["x-frame-options"] == "DENY")
      #expect(answer.headers["cross-origin-resource-policy"] == "same-origin")
      #expect(answer.headers["server"] == nil)
      if path.hasPrefix("/api") { #expect(answer.headers["cache-control"] == "no-store") }
    }
  }
}

@Test func `page, script and style are plain files that name no other host`() async throws {
  try await TestServer.with(fakeRoom()) { server in
    let page = try await server.get("/", changing: ["Dat-Secret": nil])
    #expect(page.status == 200)
    #expect(page.headers["content-type"] == "text/html; charset=utf-8")
    #expect(!page.body.contains("style=") && !page.body.contains("onclick"))
    #expect(!page.body.contains("<script>") && !page.body.contains("http"))
    #expect(!page.body.contains(room.hex))
    for path in ["/style.css", "/main.js", "/theme.js", "/icon.svg"] {
      #expect(try await server.get(path, changing: ["Dat-Secret": nil]).status == 200)
    }
    for path in ["/../Package.swift", "/%2e%2e/WebServer.swift", "//etc/passwd", "/index.html/x"] {
      #expect(try await server.get(path).status != 200, "\(path)")
    }
  }
}

@Test func `a server for every address answers to addresses and given names alone`() async throws {
  var options = WebServer.Options()
  options.host = "0.0.0.0"
  options.names = ["olaf.lan"]
  try await TestServer.with(SingleRoom(RoomView(fakeRoom())), options: options) { server in
    for host in ["127.0.0.1", "localhost", "192.168.7.9", "olaf.lan", "[2001:db8::1]"] {
      let answer = try await server.get(messagesPath, changing: ["Host": "\(host):\(server.port)"])
      #expect(answer.status == 200, "\(host)")
    }
    for host in ["evil.example", "0.0.0.0.evil.example", "192.168.7.9.nip.io", "1.2.3.4.5"] {
      let answer = try await server.get(messagesPath, changing: ["Host": "\(host):\(server.port)"])
      #expect(answer.status == 403, "\(host)")
    }
  }
}

@Test func `a server for one address answers to that address, in brackets as well`() {
  func isOurs(_ host: String, boundTo address: String) -> Bool {
    RequestGuard(boundHost: address, port: 8080, names: [], secret: "s").isOurs(ForeignText(host))
  }
  #expect(isOurs("192.168.7.9:8080", boundTo: "192.168.7.9"))
  #expect(isOurs("[2001:db8::1]:8080", boundTo: "2001:db8::1"))
  #expect(isOurs("olaf.lan:8080", boundTo: "olaf.lan"))
  #expect(!isOurs("192.168.7.8:8080", boundTo: "192.168.7.9"))
  #expect(!isOurs("localhost:8080", boundTo: "192.168.7.9"))
  #expect(!isOurs("192.168.7.9:8081", boundTo: "192.168.7.9"))
}

@Test func `requests larger than any the page makes are refused`() async throws {
  let fake = fakeRoom()
  try await TestServer.with(fake) { server in
    let long = String(repeating: "x", count: 65_537)
    #expect(try await server.post(messagesPath, #"{"text":"\#(long)"}"#).errorCode == "tooLong")
    let huge = String(repeating: "x", count: 600_000)
    #expect(try await server.post(messagesPath, #"{"text":"\#(huge)"}"#).errorCode == "tooLong")
    let field = try await server.get("/", changing: ["X": String(repeating: "x", count: 40_000)])
    #expect(field.status != 200)
    #expect(await fake.messages.count == 5)
    let full = String(repeating: "\\u0001", count: 65_536)
    #expect(try await server.post(messagesPath, #"{"text":"\#(full)"}"#).status == 200)
  }
}
