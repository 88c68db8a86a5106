import DatSwarm
import DatTesting
import Foundation
import Testing

@Suite(.serialized) struct ChatCommandTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  @Test func `two peers share a room, and see each other come and go`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    await ana.process.send("before anybody came")
    try await ana.event("message", "message", "before anybody came")
    let bea = try await ChatProcess(
      dir("bea"), key: ana.key, name: "bea", connect: [try #require(ana.address)])
    #expect(bea.key == ana.key)
    #expect(bea.local != ana.local)
    let message = try await bea.event("message", "message", "before anybody came")
    #expect(message["feed"] as? String == ana.local)
    #expect(message["username"] as? String == "ana")
    let join = try await ana.event("join", "username", "bea")
    #expect(join["key"] as? String == bea.local)
    try await bea.event("join", "username", "ana")
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("hello from bea")
    try await ana.event("message", "message", "hello from bea")
    #expect(await bea.leave() == 0)
    try await ana.event("leave", "username", "bea")
    #expect(await ana.leave() == 0)
    #expect(await ana.process.errorText.isEmpty)
  }

  @Test func `a killed peer comes back with nothing lost`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    var bea = try await ChatProcess(dir("bea"), key: ana.key, name: "bea", connect: [address])
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("one")
    try await ana.event("message", "message", "one")
    await bea.process.send("two")
    try await bea.event("message", "message", "two")
    await bea.process.signal(SIGKILL)
    #expect(await bea.process.status() == 128 + SIGKILL)
    try await ana.event("leave", "username", "bea")
    await ana.process.send("three")
    try await ana.event("message", "message", "three")

    bea = try await ChatProcess(dir("bea"), key: ana.key, name: "bea", connect: [address])
    try await bea.event("message", "message", "three")
    await bea.process.send("four")
    try await ana.event("message", "message", "four")
    for peer in [ana, bea] {
      for text in ["one", "two", "three", "four"] {
        try await peer.event("message", "message", text)
      }
      #expect(await Set(peer.messages()) == ["one", "two", "three", "four"])
    }
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
  }

  @Test func `in a line of three peers the last reads what the first wrote`() async throws {
    let a = try await ChatProcess(dir("a"), name: "a", listen: true)
    let b = try await ChatProcess(
      dir("b"), key: a.key, name: "b", listen: true, connect: [try #require(a.address)])
    let c = try await ChatProcess(
      dir("c"), key: a.key, name: "c", connect: [try #require(b.address)])
    await a.process.send("from one end")
    try await c.event("message", "message", "from one end")
    try await c.process.line(containing: #""event":"authorized""#)
    await c.process.send("from the other")
    try await a.event("message", "message", "from the other")
    for peer in [c, b, a] { #expect(await peer.leave() == 0) }
  }

  @Test func `a program pipes a message in, and leaves once a peer has it`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let (status, lines, errors) = try await DatProcess.run(
      [
        "chat", "--memory", dir("none"), ana.key, "--name", "robot", "--connect",
        try #require(ana.address), "--json",
      ], input: "piped\n")
    #expect(status == 0)
    #expect(errors.isEmpty)
    #expect(lines.contains { $0.contains("piped") })
    try await ana.event("message", "message", "piped")
    #expect(!FileManager.default.fileExists(atPath: dir("none")))
    #expect(await ana.leave() == 0)
  }

  @Test func `without peers and input it tells the room and leaves at once`() async throws {
    let (status, lines, _) = try await DatProcess.run(
      ["chat", dir("room"), "--name", "ana", "--json", "--no-lan"], input: "alone\n")
    #expect(status == 0)
    #expect(lines.first?.contains(#""event":"ready""#) == true)
    let again = try await DatProcess.run([
      "chat", dir("room"), "--name", "ana", "--json", "--no-lan",
    ])
    #expect(again.lines.contains { $0.contains(#""message":"alone""#) })
  }

  @Test func `Ctrl-C is obeyed in order however early it comes`() async throws {
    for _ in 0..<8 {
      let ana = try await ChatProcess(dir("early"), name: "ana", listen: true)
      #expect(await ana.leave() == 0)
    }
  }

  // MARK: Bad input

  private func fails(_ arguments: [String], with words: [String]) async throws {
    let (status, lines, errors) = try await DatProcess.run(["chat", "--no-lan"] + arguments)
    #expect(status == 1, "\(arguments)")
    #expect(lines.isEmpty, "\(lines)")
    #expect(errors.split(separator: "\n").count == 1, "\(errors)")
    for word in words { #expect(errors.contains(word), "\(errors)") }
  }

  @Test func `a malformed key is refused in one sentence`() async throws {
    try await fails([dir("x"), "abc", "--name", "a"], with: ["abc", "64 hex digits"])
    #expect(!FileManager.default.fileExists(atPath: dir("x")))
  }

  @Test func `a folder that holds another room is refused and stays as it is`() async throws {
    _ = try await DatProcess.run(["chat", dir("room"), "--name", "a", "--no-lan"])
    let before = try Data(contentsOf: URL(fileURLWithPath: dir("room/source/key")))
    try await fails(
      [dir("room"), String(repeating: "ab", count: 32), "--name", "a"], with: ["Another", "stored"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: dir("room/source/key"))) == before)
  }

  @Test func `a file with a foreign header is refused and stays as it is`() async throws {
    _ = try await DatProcess.run(["chat", dir("room"), "--name", "a", "--no-lan"])
    let file = URL(fileURLWithPath: dir("room/source/tree"))
    let foreign = Data("this is some other program's file, surely".utf8)
    try foreign.write(to: file)
    try await fails([dir("room"), "--name", "a"], with: ["tree"])
    #expect(try Data(contentsOf: file) == foreign)
  }

  @Test func `a port in use is told in one sentence`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    let (status, _, errors) = try await DatProcess.run(
      ["chat", dir("other"), "--name", "b", "--listen", address])
    #expect(status == 1)
    #expect(errors.contains(address) && errors.contains("in use"), "\(errors)")
    #expect(await ana.leave() == 0)
  }

  @Test func `a folder in use names the process that has it`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    try await fails([dir("ana"), "--name", "b"], with: ["process"])
    #expect(await ana.leave() == 0)
  }

  @Test func `a peer with another key is told, and others go on`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    let stranger = try await ChatProcess(
      dir("stranger"), key: String(repeating: "cd", count: 32), name: "stranger",
      connect: [address])
    try await stranger.process.line(containing: #""event":"error""#)
    let bea = try await ChatProcess(dir("bea"), key: ana.key, name: "bea", connect: [address])
    try await ana.event("join", "username", "bea")
    for peer in [stranger, bea, ana] { #expect(await peer.leave() == 0) }
  }
}

extension ChatCommandTests {
  @Test func `a peer that talks garbage is dropped, and the others go on`() async throws {
    let ana = try await ChatProcess(
      dir("garbage"), name: "ana", listen: true, options: ["--verbose"])
    let address = try #require(ana.address)
    let bea = try await ChatProcess(dir("bea"), key: ana.key, name: "bea", connect: [address])
    try await ana.event("join", "username", "bea")
    var random = SeededRandom(seed: 7)
    for _ in 0..<20 {
      let socket = try await TCPDialer.connect(
        to: PeerAddress(parsing: address), timeout: .seconds(5))
      let garbage = Garbage(random.bytes(Int.random(in: 1..<5000, using: &random)))
      // The way in which it ends is up to the other side.
      try? await socket.pump(garbage)
    }
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("still here")
    try await ana.event("message", "message", "still here")
    try await ana.process.line(containing: #""reason":"malformed""#)
    for peer in [bea, ana] { #expect(await peer.leave() == 0) }
  }

  /// A stream that sends some bytes, then nothing more.
  private actor Garbage: PeerStream {
    private var bytes: [UInt8]?

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func receive(_ bytes: [UInt8]) {}

    func nextOutput() -> [UInt8]? {
      defer { bytes = nil }
      return bytes
    }

    func finishInput() {}
    func close(_ error: (any Error)?) {}
  }
}

extension ChatCommandTests {
  @Test func `a program that only reads leaves after the first sync, with every message shown`()
    async throws
  {
    let ana = try await ChatProcess(dir("sync"), name: "ana", listen: true)
    for number in 0..<200 { await ana.process.send("message \(number)") }
    try await ana.event("message", "message", "message 199")
    let (status, lines, _) = try await DatProcess.run([
      "chat", dir("copy"), ana.key, "--name", "reader", "--json", "--connect",
      try #require(ana.address),
    ])
    #expect(status == 0)
    #expect(lines.filter { $0.contains(#""event":"message""#) }.count == 200)
    #expect(await ana.leave() == 0)
  }
}
