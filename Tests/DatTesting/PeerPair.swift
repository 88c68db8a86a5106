internal import HypercoreCrypto
public import HypercoreProtocol

/// The ways in which a simulated transport cuts its bytes.
public enum Cutting: Sendable {
  /// As they were taken from the sender.
  case whole
  /// Into pieces of this many bytes.
  case pieces(Int)
  /// Into pieces of 1 to this many bytes.
  case random(upTo: Int)

  /// The pieces, in order.
  public func pieces(of bytes: [UInt8], using random: inout SeededRandom) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var start = 0
    while start < bytes.count {
      let count =
        switch self {
        case .whole: bytes.count
        case .pieces(let size): size
        case .random(let most): Int.random(in: 1...most, using: &random)
        }
      let end = min(start + count, bytes.count)
      pieces.append(Array(bytes[start..<end]))
      start = end
    }
    return pieces
  }
}

/// Two connections that are joined by a simulated transport, on virtual time.
public final class PeerPair {
  public enum Side: Hashable, Sendable {
    case a, b

    public var other: Side { self == .a ? .b : .a }
  }

  public let a: Connection
  public let b: Connection
  /// The time that both ends are given.
  public var now: Connection.Instant
  private var random: SeededRandom
  private let cutting: Cutting

  public init(
    a: Connection.Options, b: Connection.Options, cutting: Cutting = .whole, seed: UInt64 = 0
  ) {
    now = ContinuousClock.now
    self.a = Connection(options: a, now: now)
    self.b = Connection(options: b, now: now)
    self.cutting = cutting
    random = SeededRandom(seed: seed)
  }

  public subscript(side: Side) -> Connection { side == .a ? a : b }

  /// Carries bytes in both directions until neither side has anything more to send.
  ///
  /// - Parameter handle: handles an event of the receiving side as soon as it arrives.
  public func exchange(
    _ handle: (Side, Connection.Event) throws -> Void = { _, _ in }
  ) throws {
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      for side in [Side.a, .b] {
        let bytes = self[side].takeOutput()
        if !bytes.isEmpty { isQuiet = false }
        try deliver(bytes, to: side.other, handle)
      }
    }
  }

  /// Delivers bytes to one side, cut, and handles its events.
  public func deliver(
    _ bytes: [UInt8], to side: Side, _ handle: (Side, Connection.Event) throws -> Void
  ) throws {
    for piece in cutting.pieces(of: bytes, using: &random) {
      try self[side].receive(piece, now: now)
      while let event = try self[side].nextEvent() { try handle(side, event) }
    }
  }

  /// Lets time pass in steps, running both sides' timers and carrying their output.
  public func pass(
    _ duration: Duration, _ handle: (Side, Connection.Event) throws -> Void = { _, _ in }
  ) throws {
    let end = now.advanced(by: duration)
    while let next = [a.deadline, b.deadline].compactMap({ $0 }).min(), next <= end {
      now = max(now, next)
      try a.tick(now: now)
      try b.tick(now: now)
      try exchange(handle)
    }
    now = end
  }
}

extension Connection.Options {
  /// Options whose id and nonce follow from `random`.
  public static func random(using random: inout SeededRandom) -> Connection.Options {
    Connection.Options(id: random.bytes(32), nonce: Nonce(bytes: random.bytes(24))!)
  }
}
