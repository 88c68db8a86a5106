internal import Foundation

/// A generator whose sequence is determined by its seed (SplitMix64), so that a failing run can be
/// repeated with the seed that it prints.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// `count` random bytes.
  public mutating func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      while filled + 8 <= count {
        raw.storeBytes(of: next().littleEndian, toByteOffset: filled, as: UInt64.self)
        filled += 8
      }
      var last = next()
      while filled < count {
        raw.storeBytes(of: UInt8(truncatingIfNeeded: last), toByteOffset: filled, as: UInt8.self)
        last >>= 8
        filled += 1
      }
    }
  }

  /// Returns true with the given probability, 0 to 1.
  public mutating func chance(_ probability: Double) -> Bool {
    Double.random(in: 0..<1, using: &self) < probability
  }
}

/// The seeds for property tests: as many as the environment variable `SEEDS` says, or `standard`, from
/// `FIRST_SEED` on; a single one if `SEED` gives it.
public func testSeeds(standard: Int) -> [UInt64] {
  let environment = ProcessInfo.processInfo.environment
  if let seed = environment["SEED"].flatMap(UInt64.init) { return [seed] }
  let count = environment["SEEDS"].flatMap(Int.init) ?? standard
  let first = environment["FIRST_SEED"].flatMap(UInt64.init) ?? 0
  return (0..<max(count, 0)).map { first &+ UInt64($0) }
}
