/// An offer or an answer: the parts of an SDP from a hub that a data channel needs.
///
/// Source: RFC 8841 (SCTP in SDP), RFC 8839 (ICE), RFC 8122 (fingerprints).
package struct SessionDescription: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable { case offer, answer }

  /// The side that begins the DTLS handshake.
  package enum Setup: String, Hashable, Sendable { case active, passive, actpass }

  package var kind: Kind
  /// The name and the password of its checks.
  package var credentials: ICECredentials
  /// The SHA-256 of its certificate.
  package var fingerprint: [UInt8]
  package var setup: Setup
  /// The name of its only section, repeated in the answer.
  package var mid = "0"
  package var sctpPort: UInt16 = 5000
  /// The largest message that it accepts, in bytes; nil for no limit.
  package var maximumMessage: UInt32? = 65536
  /// The candidates that came with it.
  package var candidates: [ICECandidate] = []

  /// The longest text that is read, in bytes. Browsers send about 600.
  static let textLimit = 64 << 10
  /// The most candidates taken from one description.
  package static let candidateLimit = 32

  init(kind: Kind, credentials: ICECredentials, fingerprint: [UInt8], setup: Setup) {
    self.kind = kind
    self.credentials = credentials
    self.fingerprint = fingerprint
    self.setup = setup
  }

  /// Reads the SDP of an offer or answer.
  ///
  /// - Throws: ``WebRTCError`` with code `description`, saying which part is missing or wrong.
  package init(_ kind: Kind, parsing text: some Collection<UInt8>) throws(WebRTCError) {
    guard text.count <= Self.textLimit else {
      throw WebRTCError(
        .description, "The description has \(text.count) bytes; at most 65,536 are read.")
    }
    var fields = Fields()
    for line in Array(text).split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }) {
      fields.read(line)
    }
    guard let name = fields.name, let password = fields.password,
      let credentials = ICECredentials(name: name, password: password)
    else { throw WebRTCError(.description, "The description has no usable ice-ufrag and ice-pwd.") }
    guard let fingerprint = fields.fingerprint else {
      throw WebRTCError(
        .description, "The description has no SHA-256 fingerprint of a certificate.")
    }
    let setup = fields.setup ?? (kind == .offer ? .actpass : .active)
    self.init(kind: kind, credentials: credentials, fingerprint: fingerprint, setup: setup)
    if let mid = fields.mid { self.mid = mid }
    if let port = fields.port { sctpPort = port }
    if let maximum = fields.maximumMessage { maximumMessage = maximum == 0 ? nil : maximum }
    candidates = fields.candidates
  }

  /// The content of the lines; of an attribute that comes twice the first counts.
  private struct Fields {
    var name: [UInt8]?
    var password: [UInt8]?
    var fingerprint: [UInt8]?
    var setup: Setup?
    var mid: String?
    var port: UInt16?
    var maximumMessage: UInt32?
    var candidates: [ICECandidate] = []

    mutating func read(_ line: ArraySlice<UInt8>) {
      func value(_ name: StaticString) -> ArraySlice<UInt8>? {
        let starts = name.withUTF8Buffer { line.starts(with: $0) }
        return starts ? line.dropFirst(name.utf8CodeUnitCount) : nil
      }
      if let text = value("a=ice-ufrag:") {
        name = name ?? Array(text)
      } else if let text = value("a=ice-pwd:") {
        password = password ?? Array(text)
      } else if let text = value("a=fingerprint:") {
        fingerprint = fingerprint ?? Self.fingerprint(text)
      } else if let text = value("a=setup:") {
        setup =
          setup ?? [.active, .passive, .actpass].first { text.elementsEqual($0.rawValue.utf8) }
      } else if let text = value("a=mid:") {
        mid = mid ?? SDPToken.parse(text)
      } else if let text = value("a=sctp-port:") ?? value("a=sctpmap:") {
        let digits = text.prefix { $0 != 0x20 }
        port = port ?? DecimalNumber.parse(digits).flatMap(UInt16.init(exactly:))
      } else if let text = value("a=max-message-size:") {
        maximumMessage = maximumMessage ?? DecimalNumber.parse(text)
      } else if line.starts(with: "a=candidate:".utf8), candidates.count < candidateLimit,
        let candidate = ICECandidate(parsing: line)
      {
        candidates.append(candidate)
      }
    }

    private static func fingerprint(_ text: ArraySlice<UInt8>) -> [UInt8]? {
      let parts = text.split(separator: 0x20)
      guard parts.count == 2, parts[0].lazy.map({ $0 | 0x20 }).elementsEqual("sha-256".utf8) else {
        return nil
      }
      var bytes: [UInt8] = []
      for part in parts[1].split(separator: UInt8(ascii: ":")) {
        guard part.count == 2, bytes.count < 32, let number = DecimalNumber.parseHex(part) else {
          return nil
        }
        bytes.append(UInt8(truncatingIfNeeded: number))
      }
      return bytes.count == 32 ? bytes : nil
    }
  }

  /// Returns the SDP in the form that other implementations read.
  ///
  /// - Parameter session: the number of the session, which may be any.
  package func text(session: UInt64) -> String {
    let digits = fingerprint.map { byte in
      let text = String(byte, radix: 16, uppercase: true)
      return text.count == 1 ? "0" + text : text
    }.joined(separator: ":")
    let lines = [
      "v=0", "o=- \(session >> 1) 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE \(mid)",
      "a=msid-semantic: WMS", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
      "c=IN IP4 0.0.0.0",
      "a=ice-ufrag:\(credentials.name)", "a=ice-pwd:\(credentials.password)",
      "a=ice-options:trickle",
      "a=fingerprint:sha-256 \(digits)", "a=setup:\(setup.rawValue)", "a=mid:\(mid)",
      "a=sctp-port:\(sctpPort)", "a=max-message-size:\(maximumMessage ?? 0)",
    ]
    return lines.joined(separator: "\r\n") + "\r\n"
  }
}

/// The name and the password with which a peer's checks are addressed and signed.
package struct ICECredentials: Hashable, Sendable {
  var name: String
  var password: String

  init(name: String, password: String) {
    self.name = name
    self.password = password
  }

  /// Makes random ones of 8 and 24 characters: 48 and 144 bits.
  init(random: inout some RandomNumberGenerator) {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    func text(_ count: Int) -> String {
      String((0..<count).map { _ in letters[Int.random(in: 0..<64, using: &random)] })
    }
    name = text(8)
    password = text(24)
  }

  /// Takes those of a description: 4 to 256 and 22 to 256 characters of RFC 8839's alphabet.
  init?(name: [UInt8], password: [UInt8]) {
    guard (4...256).contains(name.count), (22...256).contains(password.count),
      let name = SDPToken.parse(name), let password = SDPToken.parse(password)
    else { return nil }
    self.init(name: name, password: password)
  }
}

/// Words of a description.
enum SDPToken {
  /// Reads a word of at most 256 visible ASCII characters; nil for anything else.
  static func parse(_ text: some Collection<UInt8>) -> String? {
    guard !text.isEmpty, text.count <= 256, text.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      return nil
    }
    return String(decoding: text, as: UTF8.self)
  }
}
