internal import HypercoreCrypto
internal import RandomAccessStorage

/// The `signatures` file: the signature of length *n* in slot *n* - 1, zeros if a length was not signed or
/// not received.
struct SignatureFile {
  static let slotSize = 64
  private static let readAhead = 64
  /// The unit that a disk writes as a whole or not at all.
  private static let sectorSize: UInt64 = 512

  let file: FeedFile

  static func offset(of slot: UInt64) -> UInt64 { 32 + 64 * slot }

  /// The signature in a slot; nil if it is blank or incomplete.
  func signature(at slot: UInt64) throws(FeedError) -> Signature? {
    let bytes = try file.read(at: Self.offset(of: slot), count: Self.slotSize)
    guard let signature = Signature(bytes: bytes), !signature.isZero else { return nil }
    return signature
  }

  /// The first signature in a slot from `slot` on, before `end`.
  ///
  /// Source: hypercore v6.26.0 `lib/storage.js`, `nextSignature`.
  func next(from slot: UInt64, before end: UInt64) throws(FeedError) -> (
    slot: UInt64, signature: Signature
  )? {
    var slot = slot
    while slot < end {
      let count = Int(min(UInt64(Self.readAhead), end - slot))
      let bytes = try file.read(at: Self.offset(of: slot), count: count * Self.slotSize)
      for place in 0..<(bytes.count / Self.slotSize) {
        let range = place * Self.slotSize..<(place + 1) * Self.slotSize
        if let signature = Signature(bytes: bytes[range]), !signature.isZero {
          return (slot + UInt64(place), signature)
        }
      }
      if bytes.count < count * Self.slotSize { return nil }
      slot += UInt64(count)
      // A feed may be signed far beyond the part that is here.
      guard let stored = try file.nextStored(from: Self.offset(of: slot)) else { return nil }
      slot = max(slot, Self.slot(at: stored))
    }
    return nil
  }

  /// The slot that contains an offset.
  private static func slot(at offset: UInt64) -> UInt64 { offset < 32 ? 0 : (offset - 32) / 64 }

  /// The last slot before `end` that is not blank, complete or not.
  func lastUsed(before end: UInt64, from start: UInt64) throws(FeedError) -> UInt64? {
    var end = end
    while end > start {
      let count = min(UInt64(Self.readAhead), end - start)
      let first = end - count
      let bytes = try file.read(at: Self.offset(of: first), count: Int(count) * Self.slotSize)
      if let last = bytes.lastIndex(where: { $0 != 0 }) {
        return first + UInt64(last / Self.slotSize)
      }
      end = try lastStored(below: first, from: start)
    }
    return nil
  }

  /// The last slot from `start` on, before `end`, in which the file may hold something, plus one; `start` if
  /// there is none.
  ///
  /// The file can only be asked for the next stored offset, so the point after which nothing follows before
  /// `end` is found by halves, with at most 33 calls.
  private func lastStored(below end: UInt64, from start: UInt64) throws(FeedError) -> UInt64 {
    // Nearly always it is near the end.
    var (low, high) = (start, end)
    let near = end - min(UInt64(Self.readAhead), end - start)
    if try isStored(from: near, below: end) { return end }
    high = near
    while low < high {
      let middle = low + (high - low) / 2
      if try isStored(from: middle, below: end) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func isStored(from slot: UInt64, below end: UInt64) throws(FeedError) -> Bool {
    guard let stored = try file.nextStored(from: Self.offset(of: slot)) else { return false }
    return stored < Self.offset(of: end)
  }

  /// Returns whether a slot holds a signature as far as it was written: for each sector of the disk, the
  /// slot's part in it is complete, missing, or cut short, as a write to a full disk leaves it.
  func agrees(_ signature: Signature, at slot: UInt64) throws(FeedError) -> Bool {
    let offset = Self.offset(of: slot)
    var stored = try file.read(at: offset, count: Self.slotSize)
    stored += [UInt8](repeating: 0, count: Self.slotSize - stored.count)
    let border = min(Int(Self.sectorSize - offset % Self.sectorSize), Self.slotSize)
    return [0..<border, border..<Self.slotSize].allSatisfy { part in
      let arrived = (stored[part].lastIndex { $0 != 0 } ?? part.lowerBound - 1) + 1
      return stored[part.lowerBound..<arrived] == signature.bytes[part.lowerBound..<arrived]
    }
  }

  /// The number of slots in the file, including an incomplete one.
  func slotCount() throws(FeedError) -> UInt64 {
    let length = try file.length()
    return length <= 32 ? 0 : (length - 32 + 63) / 64
  }
}
