package import HypercoreCrypto

/// A key in a fleet's list, or the removal of one.
package struct FleetEntry: Hashable, Sendable {
  /// The hosted key.
  package let key: PublicKey
  /// The kind as a number that the host defines, 0 to 127; nil if the key was removed.
  package let kind: UInt8?
  /// A number that is greater than that of every earlier entry of the key: the entry with the greater one holds.
  package let stamp: UInt64

  /// The bytes of an entry.
  static let byteCount = 41
  /// The greatest stamp. Changes raise the stamp by one each, so no fleet gets there by itself.
  static let maximumStamp: UInt64 = 1 << 53

  /// Makes an entry.
  package init(key: PublicKey, kind: UInt8?, stamp: UInt64) {
    self.key = key
    self.kind = kind.map { min($0, 127) }
    self.stamp = stamp
  }

  func encode(into bytes: inout [UInt8]) {
    bytes.append(kind ?? 255)
    key.withUnsafeBytes { bytes.append(contentsOf: $0) }
    bytes += bigEndian(stamp)
  }

  /// The entry as bytes.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = []
    encode(into: &bytes)
    return bytes
  }

  /// Reads an entry of exactly 41 bytes.
  package init?(decoding bytes: [UInt8]) {
    guard bytes.count == Self.byteCount, bytes[0] < 128 || bytes[0] == 255,
      let key = PublicKey(bytes: bytes[1..<33])
    else { return nil }
    let stamp = bytes[33...].reduce(0) { $0 << 8 | UInt64($1) }
    guard stamp <= Self.maximumStamp else { return nil }
    self.init(key: key, kind: bytes[0] == 255 ? nil : bytes[0], stamp: stamp)
  }

  /// Returns whether the entry holds against another one of the same key. Of two with the same stamp the one
  /// that keeps the key holds, and of two of these the greater kind.
  func holds(against other: FleetEntry) -> Bool {
    (stamp, kind.map { Int($0) } ?? -1) > (other.stamp, other.kind.map { Int($0) } ?? -1)
  }

  /// A number that stands for the entry in the digest of its part.
  fileprivate var digest: UInt64 {
    KeyedHash.hash([encoded], key: [], count: 16).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// The list of a fleet's keys, of which each member has a version. For each key the entry with the greater stamp
/// holds, so that members that have exchanged their lists have the same one.
///
/// The list has 256 parts, by the first byte of the key. Members compare the digests of the parts, 2 KiB, and send each
/// other only parts that differ.
package struct FleetKeyList: Sendable {
  private var entries: [[PublicKey: FleetEntry]] = Array(repeating: [:], count: 256)
  /// By part, the exclusive or of the digests of its entries.
  package private(set) var digests = [UInt64](repeating: 0, count: 256)
  private var stamp: UInt64 = 0

  /// Makes an empty list.
  package init() {}

  /// The number of entries, including those of removed keys.
  package var count: Int { entries.reduce(0) { $0 + $1.count } }

  /// Returns the kind of a key that is in the list.
  package func kind(of key: PublicKey) -> UInt8? { entries[part(of: key)][key]?.kind }

  /// Returns whether the list has an entry of a key, be it one that removes the key.
  package func knows(_ key: PublicKey) -> Bool { entries[part(of: key)][key] != nil }

  /// The keys in the list, with their kinds.
  package var keys: [(key: PublicKey, kind: UInt8)] {
    entries.flatMap { part in part.values.compactMap { entry in entry.kind.map { (entry.key, $0) } }
    }
  }

  private func part(of key: PublicKey) -> Int { key.withUnsafeBytes { Int($0[0]) } }

  /// Returns the entry with which a member adds a key, or takes it off; ``merge(_:)`` takes it in.
  ///
  /// - Parameter kind: its kind; nil to take it off.
  package func entry(of key: PublicKey, kind: UInt8?) -> FleetEntry {
    FleetEntry(key: key, kind: kind, stamp: min(stamp + 1, FleetEntry.maximumStamp))
  }

  /// Makes the entry with which a member adds a key, or takes it off, and takes it in.
  ///
  /// - Parameter kind: its kind; nil to remove it.
  /// - Returns: the entry, for the other members.
  package mutating func change(_ key: PublicKey, kind: UInt8?) -> FleetEntry {
    let entry = entry(of: key, kind: kind)
    merge(entry)
    return entry
  }

  /// Merges an entry of another member.
  ///
  /// - Returns: true if it has replaced this list's entry, or is new.
  @discardableResult
  package mutating func merge(_ entry: FleetEntry) -> Bool {
    stamp = max(stamp, min(entry.stamp, FleetEntry.maximumStamp))
    let part = part(of: entry.key)
    if let known = entries[part][entry.key] {
      guard entry.holds(against: known) else { return false }
      digests[part] ^= known.digest
    }
    entries[part][entry.key] = entry
    digests[part] ^= entry.digest
    return true
  }

  /// Returns the parts in which another list differs, as messages to its owner.
  package func messages(for others: [UInt64]) -> [FleetMessage] {
    guard others.count == 256 else { return [] }
    var messages: [FleetMessage] = []
    var next: [FleetEntry] = []
    for part in 0..<256 where digests[part] != others[part] {
      for entry in entries[part].values {
        next.append(entry)
        if next.count == FleetMessage.maximumEntries {
          messages.append(.entries(next))
          next = []
        }
      }
    }
    if !next.isEmpty { messages.append(.entries(next)) }
    return messages
  }

  /// All entries, in no order.
  package var all: [FleetEntry] { entries.flatMap(\.values) }
}
