internal import Foundation

/// A generator of the unique part of message keys: 16 random bytes of a UUID in base64 without padding, a
/// slash, and a counter.
///
/// Source: the `hyperid` package with its default options, as the workshop's class uses it.
struct MessageIDGenerator {
  private var prefix: String
  private var counter: Int32 = 0

  init(random: inout some RandomNumberGenerator) { prefix = Self.prefix(&random) }

  mutating func next(random: inout some RandomNumberGenerator) -> String {
    if counter == .max {
      prefix = Self.prefix(&random)
      counter = 0
    }
    defer { counter += 1 }
    return "\(prefix)/\(counter)"
  }

  private static func prefix(_ random: inout some RandomNumberGenerator) -> String {
    var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    bytes[6] = bytes[6] & 0x0f | 0x40
    bytes[8] = bytes[8] & 0x3f | 0x80
    return String(Data(bytes).base64EncodedString().prefix(22))
  }
}
