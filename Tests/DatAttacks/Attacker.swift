internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import HypercoreProtocol

/// A hostile peer on a TCP socket. It encrypts and sends whatever it is told to, and decodes what
/// it receives. Its calls block; run them in ``blocking(_:)``.
///
/// `@unchecked Sendable`: an attacker is used by one thread at a time, the one that runs the
/// attack.
final class Attacker: @unchecked Sendable {
  private let socket: Int32
  private let key: PublicKey
  private var cipher: StreamCipher?
  private let ear: Connection
  /// The events received so far.
  private(set) var heard: [Connection.Event] = []
  private(set) var isClosed = false
  /// All bytes that were sent, to be replayed.
  private(set) var sent: [UInt8] = []

  /// Connects, and sends Feed and Handshake unless told not to.
  ///
  /// - Parameter source: the address to connect from, one of 127.0.0.0/8.
  init(
    _ port: Int, _ key: PublicKey, greets: Bool = true, handshake: [UInt8] = [0x10, 0x01],
    from source: String? = nil
  ) throws {
    self.key = key
    #if os(Linux)
      let kind = Int32(SOCK_STREAM.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    socket = Foundation.socket(AF_INET, kind, 0)
    var options = Connection.Options(
      id: [UInt8](repeating: 0xee, count: 32), nonce: .random())
    options.timeout = nil
    ear = Connection(options: options, now: .now)
    _ = try ear.open(key)
    if let source { _ = LoopbackAddress(source, 0).with { bind(socket, $0, $1) } }
    let result = LoopbackAddress("127.0.0.1", port).with { connect(socket, $0, $1) }
    guard result == 0 else {
      throw AttackFailure("no connection: \(String(cString: strerror(errno)))")
    }
    if greets {
      sayFeed()
      send(Raw.frame(0, 1, handshake))
    }
  }

  deinit { close(socket) }

  /// Sends Feed, in clear; what follows is encrypted.
  func sayFeed() {
    let nonce = Nonce.random()
    sendClear(Raw.feed(0, key.discoveryKey, nonce: nonce.bytes))
    cipher = StreamCipher(key: key, nonce: nonce)
  }

  /// Sends bytes as part of the encrypted stream.
  func send(_ bytes: [UInt8], patience: Double = 10) {
    var bytes = bytes
    bytes.withUnsafeMutableBytes { cipher?.apply(to: $0) }
    sendClear(bytes, patience: patience)
  }

  /// Sends bytes as they are, as many as the victim takes within `patience` seconds.
  func sendClear(_ bytes: [UInt8], patience: Double = 10) {
    if sent.count < 1 << 20 { sent += bytes }
    var offset = 0
    let deadline = Date().addingTimeInterval(patience)
    while offset < bytes.count, !isClosed {
      let count = bytes[offset...].withUnsafeBytes {
        Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if count > 0 {
        offset += count
      } else if errno == EAGAIN || errno == EWOULDBLOCK {
        guard wait(Int16(POLLOUT), until: deadline) else { return }
      } else {
        isClosed = true
      }
    }
  }

  /// Reads until a wanted event arrives, the connection ends or `seconds` have passed.
  @discardableResult
  func listen(
    seconds: Double = 10, for isWanted: (Connection.Event) -> Bool = { _ in false }
  ) -> Connection.Event? {
    let deadline = Date().addingTimeInterval(seconds)
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while !isClosed, wait(Int16(POLLIN), until: deadline) {
      let count = recv(socket, &buffer, buffer.count, 0)
      guard count > 0 else {
        isClosed = true
        return nil
      }
      do {
        try ear.receive(Array(buffer[..<count]), now: .now)
        var found: Connection.Event?
        while let event = try ear.nextEvent() {
          if heard.count < 100_000 { heard.append(event) }
          if found == nil, isWanted(event) { found = event }
        }
        if let found { return found }
      } catch {
        continue
      }
    }
    return nil
  }

  /// Waits for a wanted message.
  func hear(_ what: String, _ isWanted: (Message) -> Bool) throws {
    let isMatch = { (event: Connection.Event) in
      if case .message(_, let message) = event { isWanted(message) } else { false }
    }
    if heard.contains(where: isMatch) { return }
    guard listen(for: isMatch) != nil else { throw AttackFailure("the victim sent no \(what)") }
  }

  /// Expects that the victim closes the connection.
  func expectClosed(_ what: String, seconds: Double = 10) throws {
    listen(seconds: seconds)
    try require(isClosed, "\(what): the connection was not closed")
  }

  /// Expects that the victim still answers.
  func expectOpen(_ what: String) throws {
    let before = heard.count
    send(Raw.frame(0, 5, [0x08, 0x00, 0x10] + Raw.varint(1 << 20)))
    let answer = listen {
      if case .message(_, .have) = $0 { true } else { false }
    }
    try require(answer != nil, "\(what): no answer any more (\(heard.count - before) messages)")
  }

  private func wait(_ events: Int16, until deadline: Date) -> Bool {
    let left = deadline.timeIntervalSinceNow
    guard left > 0 else { return false }
    var poller = pollfd(fd: socket, events: events, revents: 0)
    return poll(&poller, 1, Int32(left * 1000) + 1) > 0
  }
}

/// An IPv4 address in the form that the system's calls take.
struct LoopbackAddress {
  private var address = sockaddr_in()

  init(_ host: String, _ port: Int) {
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = inet_addr(host)
  }

  func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}

/// Bodies of messages that are made by hand.
enum Body {
  /// Fields of integers, by number.
  static func numbers(_ fields: (UInt8, UInt64)...) -> [UInt8] {
    fields.flatMap { [$0.0 << 3] + Raw.varint($0.1) }
  }

  static func data(
    _ index: UInt64, value: [UInt8]? = nil, nodes: [Node] = [], signature: Signature? = nil
  ) -> [UInt8] {
    numbers((1, index)) + (value.map { Raw.field(2, $0) } ?? [])
      + nodes.flatMap {
        Raw.field(3, numbers((1, $0.index)) + Raw.field(2, $0.hash.bytes) + numbers((3, $0.size)))
      }
      + (signature.map { Raw.field(4, $0.bytes) } ?? [])
  }
}
