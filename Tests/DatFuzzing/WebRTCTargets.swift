internal import CDataChannel
internal import DatSignal
internal import DatWebRTC
internal import NIOCore

extension FuzzTarget {
  static func sdp(_ bytes: [UInt8]) {
    for kind in [SessionDescription.Kind.offer, .answer] {
      guard let description = try? SessionDescription(kind, parsing: bytes) else { continue }
      hold(description.fingerprint.count == 32, "a fingerprint of another size")
      hold(
        description.candidates.count <= SessionDescription.candidateLimit, "too many candidates")
      guard
        var again = try? SessionDescription(kind, parsing: description.text(session: 1).utf8)
      else { return hold(false, "a written description can't be read") }
      again.candidates = description.candidates
      hold(again == description, "a description is not the same once written")
    }
  }

  static func candidate(_ bytes: [UInt8]) {
    guard let candidate = ICECandidate(parsing: bytes) else { return }
    hold(candidate.address.isUsable, "an address that no packet goes to")
    guard let again = ICECandidate(parsing: candidate.description.utf8) else {
      return hold(false, "a written candidate can't be read")
    }
    hold(
      again.address == candidate.address && again.kind == candidate.kind
        && again.priority == candidate.priority, "a candidate is not the same once written")
  }

  static func datagram(_ bytes: [UInt8]) {
    // In memory of exactly its size, so that a read beyond it is noticed.
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
    defer { copy.deallocate() }
    _ = copy.initialize(from: bytes)
    let start = UnsafePointer(copy.baseAddress)
    if cdc_is_sound_stun(start, bytes.count) {
      hold(bytes.count >= 20 && bytes.count % 4 == 0, "a STUN message of \(bytes.count) bytes")
      hold(Int(bytes[2]) << 8 + Int(bytes[3]) + 20 == bytes.count, "a STUN message's length")
    }
    if cdc_is_sound_sctp(start, bytes.count) {
      var at = 12
      while at < bytes.count {
        let length = Int(bytes[at + 2]) << 8 + Int(bytes[at + 3])
        hold(length >= 4 && at + length <= bytes.count, "a chunk beyond its packet")
        at += (length + 3) & ~3
      }
    }
    let kind = cdc_read_dcep(start, bytes.count)
    hold(kind != 3 || bytes.count >= 12, "an announcement of \(bytes.count) bytes")
  }

  static func hub(_ bytes: [UInt8]) {
    if let message = SignalMessage(bytes: bytes) {
      hold(SignalMessage(bytes: message.bytes) == message, "a message is not the same once written")
    }
    let body = ByteBuffer(bytes: bytes)
    if let frame = HubMessage.frame([97], [98], body) {
      let parts = HubMessage.parts(ofFrame: frame)
      hold(parts?.channel == [98], "a frame's channel is another once read")
    }
    _ = HubMessage.parts(ofFrame: body)
    _ = HubRequest(method: "GET".utf8, target: bytes, hasPage: true)
    _ = HubRequest(method: "POST".utf8, target: bytes, hasPage: false)
    // A stream of events has the same meaning however it is cut.
    var (whole, pieces) = (EventStreamParser(), EventStreamParser())
    let events = try? whole.take(bytes)
    var found: [[UInt8]]? = []
    for piece in [bytes.prefix(bytes.count / 3), bytes.dropFirst(bytes.count / 3)] {
      guard let more = try? pieces.take(piece) else {
        found = nil
        break
      }
      found?.append(contentsOf: more)
    }
    hold(found == events, "events depend on where they were cut")
    // No body gets out of its own event.
    var back = EventStreamParser()
    let again = try? back.take(HubMessage.event(body).readableBytesView)
    hold((again?.count ?? 1) == 1, "one message became several events")
  }

  static func signalling(_ bytes: [UInt8]) {
    var limits = SignalAgent.Limits()
    (limits.pending, limits.total, limits.ids) = (3, 6, 8)
    var agent = SignalAgent(id: "m", limits: limits)
    var begun: Set<Int> = []
    var now: UInt64 = 0
    var operations = bytes[...]
    while let operation = operations.popFirst() {
      let name = ["a", "b", "m", "z", "\u{e9}"][Int(operations.first ?? 0) % 5]
      let link = Int(operations.first ?? 0) % 16
      let hub = Int(operation >> 4) % 2
      switch operation % 12 {
      case 0: agent.connected(hub, now: now)
      case 1: agent.disconnected(hub)
      case 2: agent.heard(.connect(from: name, isNative: operation > 127), at: hub, now: now)
      case 3, 4:
        let isOffer = operation % 12 == 3
        agent.heard(
          .signal(from: name, .description(isOffer: isOffer, sdp: "\(operation)")), at: hub,
          now: now)
      case 5: agent.heard(.signal(from: name, .candidate("c")), at: hub, now: now)
      case 6: agent.opened(link, now: now)
      case 7: agent.confirmed(link)
      case 8: agent.ended(link, now: now)
      case 9: agent.setAside(name, operation > 127, now: now)
      case 10: agent.signal(link, .candidate("c"))
      default:
        now += UInt64(operations.popFirst() ?? 1) * 200
        agent.fire(now: now)
      }
      while let action = agent.nextAction() {
        switch action {
        case .offer(let link, to: let id), .answer(let link, from: let id, sdp: _):
          hold(begun.insert(link).inserted, "a connection begins twice")
          hold(id != "m", "a connection with itself")
        case .apply(let link, _), .drop(let link), .giveUp(let link, of: _, wasOpen: _):
          hold(begun.contains(link), "a connection that never began")
        case .say: break
        }
      }
      hold(agent.connectionCount <= limits.total, "more connections than there may be")
      hold(agent.rememberedCount <= limits.ids + 1, "more ids than there may be")
    }
  }

  static func ice(_ bytes: [UInt8]) {
    var agent = ICEAgent(isControlling: bytes.first ?? 0 > 127)
    var now: UInt64 = 0
    var checks: [UInt32] = []
    var operations = bytes[...]
    func address(_ number: UInt8) -> TransportAddress {
      TransportAddress(
        bytes: number > 200 ? Array(repeating: number, count: 16) : [10, 0, 0, number], port: 7)
    }
    while let operation = operations.popFirst() {
      let argument = operations.popFirst() ?? 0
      switch operation % 7 {
      case 0:
        agent.addLeg(argument % 6, isIPv6: argument > 200, isRelay: operation > 127, now: now)
      case 1: agent.addRemote(address(argument), priority: UInt32(operation) << 24, now: now)
      case 2: agent.start(now: now)
      case 3:
        var request = ICEAgent.Request(
          path: ICEAgent.Path(leg: argument % 6, remote: address(argument)),
          priority: UInt32.max - UInt32(argument), nominates: operation > 127)
        if operation % 2 == 1 { request.claim = (operation > 63, UInt64(argument) << 56) }
        _ = agent.received(request, now: now)
      case 4:
        if !checks.isEmpty {
          agent.answered(checks.remove(at: Int(argument) % checks.count), .answered, now: now)
        }
      case 5:
        if !checks.isEmpty {
          let outcome: ICEAgent.Outcome =
            operation > 127 ? .refused(487) : operation > 63 ? .asymmetric : .timedOut
          agent.answered(checks.remove(at: Int(argument) % checks.count), outcome, now: now)
        }
      default:
        now += UInt64(argument) * 20
        agent.fire(now: now)
      }
      while let action = agent.nextAction() {
        switch action {
        case .check(let number, _, isControlling: _, nominates: _):
          hold(!checks.contains(number), "two checks of one number")
          checks.append(number)
        case .select(let path): hold(agent.path == path, "another path than is said")
        case .fail: break
        }
      }
      hold(checks.count <= 2 * ICEAgent.pairLimit, "more checks than pairs could have")
      if let deadline = agent.deadline { hold(deadline <= now + 40_000, "nothing is due for long") }
    }
  }

  /// Words of browsers, hubs and the libraries.
  static func webRTC(_ target: FuzzTarget) -> [[UInt8]] {
    let fingerprint = (0..<32).map { _ in "AB" }.joined(separator: ":")
    let sdp =
      "v=0\r\no=- 3546004397921447048 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
      + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n"
      + "a=ice-pwd:0123456789abcdefghijkl+/\r\na=ice-options:trickle\r\n"
      + "a=fingerprint:sha-256 \(fingerprint)\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n"
      + "a=max-message-size:262144\r\na=candidate:1 1 udp 2113937151 10.0.0.2 50000 typ host\r\n"
    let candidates = [
      "candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host",
      "candidate:2 1 UDP 1677729535 2001:db8::7 50000 typ srflx raddr 0.0.0.0 rport 0",
      "a=candidate:3 1 udp 7 ::ffff:192.0.2.1 1 typ relay",
      "candidate:4 1 udp 1 a.local 9 typ host",
    ]
    let messages = [
      #"{"type":"connect","from":"a","native":true}"#,
      #"{"from":"a","signal":{"candidate":{"candidate":"candidate:1","sdpMLineIndex":0,"sdpMid":"0"}}}"#,
      #"{"from":"a","signal":{"type":"offer","sdp":"v=0\r\n"}}"#,
      #"{"app":"x","channel":"all","message":{"type":"connect","from":"a"}}"#,
      "/v1/app/all,%61b", "data: {}\n\n:heartbeat signal\n\n", "data: a\r\ndata: b\r\n\r\n",
    ]
    switch target {
    case .sdp: return [Array(sdp.utf8)]
    case .candidate: return candidates.map { Array($0.utf8) }
    case .hub: return messages.map { Array($0.utf8) }
    default:
      let stun: [UInt8] =
        [0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42] + Array(0..<12) + [0, 6, 0, 3, 97, 58, 98, 0]
      let sctp: [UInt8] =
        [0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0]
        + [3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 4, 0, 0, 0, 0, 0]
        + [0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 53, 7, 0, 0, 0]
      return [stun, sctp, [3, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 97, 98], [2]]
    }
  }
}
