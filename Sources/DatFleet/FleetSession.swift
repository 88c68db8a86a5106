package import HypercoreCrypto

/// The secret of a fleet, which each member has in a file.
package struct FleetKey: Hashable, Sendable {
  private let secret: [UInt8]

  /// Reads 64 hex digits; spaces and line ends are ignored.
  ///
  /// - Returns: nil for anything else, and for more than 1,024 bytes.
  package init?(reading bytes: some Collection<UInt8>) {
    guard bytes.count <= 1024 else { return nil }
    let digits = bytes.filter { $0 > 0x20 }
    guard digits.count == 64,
      let key = Digest(hex: String(decoding: digits, as: UTF8.self))
    else { return nil }
    secret = key.bytes
  }

  /// Makes a key of a secret of 32 bytes.
  package init(secret: Digest) { self.secret = secret.bytes }

  private func derived(_ purpose: String, _ parts: [[UInt8]] = []) -> [UInt8] {
    KeyedHash.hash([Array(purpose.utf8)] + parts, key: secret)
  }

  /// The key pair of the feed, always empty, under whose key members meet.
  package var feed: KeyPair? { KeyPair(seed: derived("dat fleet feed")) }

  /// The key of a connection of two members, from the nonces of both.
  func session(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] {
    let pair = one.lexicographicallyPrecedes(other) ? [one, other] : [other, one]
    return derived("dat fleet session", pair)
  }
}

/// One connection of two members: each proves that it has the fleet's key, and that each of its messages is its own.
///
///     greeting   32 random bytes
///     message    16 bytes of proof, the message
///
/// The proof is BLAKE2b-128 over the sender's greeting, the number of the message as eight bytes and the message, with
/// a key that both compute from the fleet's key and both greetings. So a message can be neither made up, changed, sent
/// twice, left out nor sent back. A member may give any name: only the fleet's key is proved.
///
/// A state machine: bytes in, messages and bytes out.
package struct FleetSession: Sendable {
  /// The bytes of a greeting.
  package static let greetingSize = 32
  private static let tagSize = 16

  private let fleet: FleetKey
  private let own: String
  /// The greeting of this side, the first bytes to send.
  package let greeting: [UInt8]
  private var theirs: [UInt8]?
  private var key: [UInt8] = []
  private var sent: UInt64 = 0
  private var received: UInt64 = 0
  /// The other's name, once it has proved that it is a member.
  package private(set) var member: String?

  /// The error of bytes that no member would send. Close the connection then.
  package struct Refusal: Error, Hashable {
    /// The reason, as a sentence.
    package let reason: String

    /// Makes a refusal.
    package init(reason: String) { self.reason = reason }
  }

  /// Makes a session.
  ///
  /// - Parameters:
  ///   - fleet: the fleet's key.
  ///   - name: this side's name.
  ///   - greeting: 32 random bytes, new ones for each connection.
  package init(fleet: FleetKey, name: String, greeting: [UInt8]) {
    self.fleet = fleet
    own = name
    self.greeting = greeting
  }

  /// A result of bytes that came.
  package enum Event: Hashable, Sendable {
    /// Bytes to send.
    case reply([UInt8])
    /// The other side has proved that it is a member, and gives this name.
    case member(String)
    /// A message of a member.
    case message(FleetMessage)
  }

  /// Receives bytes from the other side: one whole greeting or message.
  ///
  /// - Throws: ``Refusal`` for bytes that no member would send.
  package mutating func receive(_ bytes: [UInt8]) throws(Refusal) -> [Event] {
    guard let theirs else {
      guard bytes.count == Self.greetingSize, bytes != greeting else {
        throw Refusal(reason: "That is not a member's greeting.")
      }
      self.theirs = bytes
      key = fleet.session(greeting, bytes)
      return [.reply(seal(.member(own)))]
    }
    guard bytes.count > Self.tagSize else { throw Refusal(reason: "A message is cut short.") }
    let body = Array(bytes[Self.tagSize...])
    guard KeyedHash.isSame(Array(bytes[..<Self.tagSize]), tag(theirs, received, body)) else {
      throw Refusal(
        reason: member == nil
          ? "The other side has another fleet key." : "A message is not as it was sent.")
    }
    received += 1
    guard let message = FleetMessage(decoding: body) else {
      throw Refusal(reason: "A message is of a kind that this version does not know.")
    }
    switch (message, member) {
    case (.member(let name), nil):
      member = name
      return [.member(name)]
    case (.member, _): throw Refusal(reason: "A member has given two names.")
    case (_, nil): throw Refusal(reason: "A member has not given its name.")
    default: return [.message(message)]
    }
  }

  /// Returns a message as bytes to send. Call it only after the other side's greeting has come.
  package mutating func seal(_ message: FleetMessage) -> [UInt8] {
    let body = message.encoded
    defer { sent += 1 }
    return tag(greeting, sent, body) + body
  }

  private func tag(_ sender: [UInt8], _ number: UInt64, _ body: [UInt8]) -> [UInt8] {
    KeyedHash.hash([sender, bigEndian(number), body], key: key, count: Self.tagSize)
  }
}
