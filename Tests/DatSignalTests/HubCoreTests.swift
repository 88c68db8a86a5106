import Testing

@testable import DatSignal

/// A core behind a reference, so that expectations can change it.
private final class TestedHub {
  private(set) var core: HubCore
  init(_ limits: SignalServer.Limits = .init()) { core = HubCore(limits: limits) }

  func admit(_ address: [UInt8]) -> HubCore.Member? {
    core.admit(address, isLocal: false, now: HubCoreTests.start)
  }
  func subscribe(
    _ member: HubCore.Member, to application: [UInt8], _ interest: HubCore.Interest
  ) -> HubCore.Refusal? {
    core.subscribe(member, to: application, interest)
  }
  func takes(_ member: HubCore.Member, bytes: Int = 0, after delay: Duration = .zero) -> Bool {
    core.takes(member, bytes: bytes, now: HubCoreTests.start + delay)
  }
  func leave(_ member: HubCore.Member) { core.leave(member) }
  func listeners(to channel: String) -> Set<HubCore.Member> {
    Set(core.listeners(to: Array(channel.utf8), of: Array("room".utf8)).map(\.member))
  }
}

struct HubCoreTests {
  static let start = ContinuousClock.now

  func name(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func `a message reaches those of its application who listen to its channel`() throws {
    let core = TestedHub()
    let stream = try #require(core.admit([1]))
    let other = try #require(core.admit([2]))
    let socket = try #require(core.admit([3]))
    let elsewhere = try #require(core.admit([4]))
    #expect(core.subscribe(stream, to: name("room"), .channels([name("all"), name("ana")])) == nil)
    #expect(core.subscribe(other, to: name("room"), .channels([name("bea")])) == nil)
    #expect(core.subscribe(socket, to: name("room"), .all) == nil)
    #expect(core.subscribe(elsewhere, to: name("hall"), .all) == nil)
    #expect(
      core.listeners(to: "ana") == [stream, socket])
    #expect(
      core.listeners(to: "bea") == [other, socket])
    core.leave(socket)
    #expect(core.listeners(to: "cyd").isEmpty)
    core.leave(stream)
    core.leave(other)
    core.leave(elsewhere)
    #expect(core.core.applicationCount == 0)
    #expect(core.core.connectionCount == 0)
  }

  @Test func `one address gets no more connections than its share`() {
    var limits = SignalServer.Limits()
    limits.connectionsByAddress = 3
    let core = TestedHub(limits)
    let taken = (0..<10).compactMap { _ in core.admit([1]) }
    #expect(taken.count == 3)
    #expect(core.admit([2]) != nil)
    core.leave(taken[0])
    #expect(core.admit([1]) != nil)
  }

  @Test func `an address that says too much waits, also after it hung up`() throws {
    var limits = SignalServer.Limits()
    limits.burst = 5
    limits.messagesPerSecond = 1
    let core = TestedHub(limits)
    var said = 0
    for _ in 0..<20 {
      let member = try #require(core.admit([1]))
      if core.takes(member) { said += 1 }
      core.leave(member)
    }
    #expect(said == 5)
    let later = try #require(core.admit([1]))
    #expect(core.takes(later, after: .seconds(2)))
    #expect(core.takes(later, after: .seconds(2)))
    #expect(!core.takes(later, after: .seconds(2)))
    let other = try #require(core.admit([2]))
    #expect(core.takes(other))
  }

  @Test func `a long message counts as several`() throws {
    var limits = SignalServer.Limits()
    limits.burst = 15
    limits.messagesPerSecond = 1
    let core = TestedHub(limits)
    let member = try #require(core.admit([1]))
    #expect(core.takes(member, bytes: limits.messageBytes - 1))
    #expect(core.takes(member, bytes: 6000))
    #expect(!core.takes(member, bytes: limits.messageBytes - 1))
    #expect(core.takes(member, bytes: 100), "what is left is enough for a short one")
  }

  @Test func `addresses that come once are not remembered for ever`() throws {
    var limits = SignalServer.Limits()
    limits.connections = 100
    let core = TestedHub(limits)
    for number in 0..<10_000 {
      let address = [UInt8(number >> 8), UInt8(number & 255)]
      core.leave(try #require(core.admit(address)))
      #expect(core.core.knownAddressCount <= 2 * limits.connections + 1)
    }
  }

  @Test func `one address takes part in no more applications than its share`() throws {
    var limits = SignalServer.Limits()
    limits.applicationsByAddress = 4
    let core = TestedHub(limits)
    var refused = 0
    for number in 0..<10 {
      let member = try #require(core.admit([1]))
      if core.subscribe(member, to: name("room \(number)"), .all) != nil { refused += 1 }
    }
    #expect(refused == 6)
  }

  @Test func `names have a limit`() throws {
    let core = TestedHub()
    let member = try #require(core.admit([1]))
    let long = [UInt8](repeating: 0x61, count: 257)
    #expect(core.subscribe(member, to: long, .all) == .longName)
    #expect(core.subscribe(member, to: [], .all) == .longName)
    #expect(core.subscribe(member, to: name("room"), .channels([long])) == .longName)
    let many = Set((0..<17).map { name("\($0)") })
    #expect(core.subscribe(member, to: name("room"), .channels(many)) == .tooManyChannels)
  }
}

struct HubRequestTests {
  func request(_ method: String, _ target: String, hasPage: Bool = false) -> HubRequest {
    HubRequest(method: method.utf8, target: target.utf8, hasPage: hasPage)
  }

  @Test func `paths are read as the clients write them`() {
    #expect(
      request("GET", "/v1/room/all,ana%20maria")
        == .listen(
          application: Array("room".utf8), channels: [Array("all".utf8), Array("ana maria".utf8)]))
    #expect(
      request("POST", "/v1/room/ana%2Cbea?x")
        == .say(application: Array("room".utf8), channel: Array("ana,bea".utf8)))
    #expect(request("OPTIONS", "/anything") == .preflight)
    #expect(request("GET", "/") == .about)
    #expect(request("GET", "/", hasPage: true) == .page([]))
    #expect(request("GET", "/a/b.js", hasPage: true) == .page(Array("a/b.js".utf8)))
    #expect(request("GET", "/a/b.js") == .unknown)
    #expect(request("POST", "/v1/room") == .unknown)
    #expect(request("POST", "/v1/room/%zz") == .unknown)
    #expect(request("GET", "/v1/room/%4") == .unknown)
    #expect(HubRequest.application(ofSocket: "/x/room?y".utf8) == Array("room".utf8))
    #expect(HubRequest.application(ofSocket: "/".utf8) == nil)
  }
}

struct SignalMessageTests {
  @Test(arguments: [
    SignalMessage.connect(from: "ana", isNative: false), .connect(from: "é\"\\", isNative: true),
    .signal(from: "ana", .description(isOffer: true, sdp: "v=0\r\na=b\r\n")),
    .signal(from: "ana", .description(isOffer: false, sdp: "v=0\r\n")),
    .signal(from: "ana", .candidate("candidate:1 1 udp 1 192.0.2.1 5 typ host")),
  ])
  func `what is written is read`(message: SignalMessage) {
    #expect(SignalMessage(bytes: message.bytes) == message)
  }

  @Test func `what the published modules send is read`() {
    let connect = #"{"type":"connect","from":"ana"}"#
    #expect(SignalMessage(bytes: Array(connect.utf8)) == .connect(from: "ana", isNative: false))
    let later = #"{"from":"ana","signal":{"renegotiate":true}}"#
    #expect(SignalMessage(bytes: Array(later.utf8)) == .unknown)
    let candidate = #"""
      {"from":"ana","signal":{"candidate":{"candidate":"candidate:0","sdpMLineIndex":0,"sdpMid":"0"}}}
      """#
    #expect(
      SignalMessage(bytes: Array(candidate.utf8)) == .signal(from: "ana", .candidate("candidate:0"))
    )
  }

  @Test(arguments: [
    "", "null", "[]", "{", "{\"from\":\"a\"}x", String(repeating: "[", count: 100),
    "{\"a\":" + String(repeating: "[", count: 40) + String(repeating: "]", count: 40) + "}",
    "{\"from\":\"" + String(repeating: "a", count: 70_000) + "\"}",
  ])
  func `what is no message is none`(text: String) {
    #expect(SignalMessage(bytes: Array(text.utf8)) == nil)
  }

  @Test func `an id beyond its limit is nobody's`() {
    let text = #"{"type":"connect","from":""# + String(repeating: "a", count: 257) + "\"}"
    #expect(SignalMessage(bytes: Array(text.utf8)) == .unknown)
  }
}

struct EventStreamParserTests {
  @Test(arguments: [1, 2, 3, 7, 1000])
  func `events are read in pieces of any size`(size: Int) throws {
    let text =
      ":heartbeat signal\n\ndata: one\n\ndata: two\ndata: three\r\n\r\nevent: x\ndata:four\n\ndata: cut"
    var parser = EventStreamParser()
    var events: [String] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      events += try parser.take(rest.prefix(size)).map { String(decoding: $0, as: UTF8.self) }
      rest = rest.dropFirst(size)
    }
    #expect(events == ["one", "two\nthree", "four"])
  }

  @Test func `an event without end is refused`() {
    var parser = EventStreamParser()
    #expect(throws: SignalError.self) {
      for _ in 0..<100 { _ = try parser.take([UInt8](repeating: 0x61, count: 1000)) }
    }
  }
}

struct HubAddressTests {
  @Test(arguments: [
    ("wss://hub.example.org", "wss://hub.example.org"),
    ("WS://127.0.0.1:3300/", "ws://127.0.0.1:3300"),
    ("https://[::1]:8443/a/b/", "https://[::1]:8443/a/b"), ("http://hub:80?x", "http://hub"),
  ])
  func `a hub's URL is read`(text: String, shown: String) throws {
    #expect(try HubAddress(parsing: text).description == shown)
  }

  @Test(arguments: [
    "", "hub.example.org", "ftp://hub", "ws://", "ws://:1", "ws://a:0", "ws://a:70000", "ws://a:b",
    "ws://user@a", "ws://[::1", "ws://a b",
  ])
  func `what names no hub is refused with a sentence`(text: String) {
    #expect { try HubAddress(parsing: text) } throws: { ($0 as? SignalError)?.code == .address }
  }
}
