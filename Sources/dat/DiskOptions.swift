internal import ArgumentParser
internal import Hypercore

/// A number of bytes, as people write it: `500M`, `4G`, or plain.
struct ByteSize: ExpressibleByArgument {
  let bytes: UInt64

  init(_ bytes: UInt64) { self.bytes = bytes }

  /// Reads digits and then, in either case, nothing, K, M, G or T, each 1024 times the one before.
  init?(argument: String) {
    let digits = argument.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard let number = UInt64(Substring(digits)) else { return nil }
    let shift: UInt64
    switch argument.utf8.dropFirst(digits.count).map({ $0 | 0x20 }) {
    case []: shift = 0
    case [UInt8(ascii: "k")]: shift = 10
    case [UInt8(ascii: "m")]: shift = 20
    case [UInt8(ascii: "g")]: shift = 30
    case [UInt8(ascii: "t")]: shift = 40
    default: return nil
    }
    guard number <= UInt64.max >> shift else { return nil }
    bytes = number << shift
  }

  var defaultValueDescription: String {
    for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] as [(UInt64, String)]
    where bytes >> shift > 0 && bytes % (1 << shift) == 0 {
      return "\(bytes >> shift)\(unit)"
    }
    return "\(bytes)"
  }
}

/// The disk space that peers may fill. What is written here is never refused.
struct DiskOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Fetch at most this much of what one writer wrote; 0 for any amount. By default 256M in a chat, 1G on a host.",
      valueName: "size"))
  var writerQuota: ByteSize?

  @Option(
    help: ArgumentHelp(
      "Fetch at most this much of one room, database or feed; 0 for any amount. By default 4G in a chat, 16G on a host.",
      valueName: "size"))
  var roomQuota: ByteSize?

  @Option(
    help: ArgumentHelp(
      "Leave this much of the disk free. By default 256M, or a twentieth of the disk if that is less.",
      valueName: "size"))
  var reserve: ByteSize?

  /// Returns the limits, with defaults for those that are not given.
  func limits(or defaults: DiskLimits) -> DiskLimits {
    func limit(_ size: ByteSize?, _ other: UInt64?) -> UInt64? {
      guard let size else { return other }
      return size.bytes == 0 ? nil : size.bytes
    }
    var limits = defaults
    limits.perWriter = limit(writerQuota, defaults.perWriter)
    limits.inAll = limit(roomQuota, defaults.inAll)
    if let reserve { limits.reserve = reserve.bytes }
    return limits
  }
}
