internal import DatCoding

/// What a connection has to send: frames one after the other in one array.
///
/// The array is longer than what it holds, so that a frame is packed in place.
package struct OutputBuffer {
  private var storage: [UInt8] = []
  /// How many bytes are ready.
  package private(set) var count = 0

  package init() {}

  /// What a new array starts with: what the last one held, within bounds.
  private var firstCapacity = Self.firstCapacities.lowerBound

  /// From a turn's requests or announcements to a turn's blocks.
  private static let firstCapacities = 512...393_216

  /// Adds one frame, whose body of `bodyCount` bytes `pack` writes.
  ///
  /// - Returns: false, with nothing added, where the frame would be over the limit.
  mutating func addFrame(
    channel: Int, type: MessageType, bodyCount: Int, _ pack: (UnsafeMutablePointer<UInt8>) -> Void
  ) -> Bool {
    let header = UInt64(channel) << 4 | UInt64(type.rawValue)
    let length = Varint.length(header) + bodyCount
    guard length <= WireLimits.frameBytes else { return false }
    let frameCount = Varint.length(UInt64(length)) + length
    reserve(frameCount)
    let start = count
    storage.withUnsafeMutableBufferPointer { bytes in
      guard var place = bytes.baseAddress.map({ $0 + start }) else { return }
      Self.write(UInt64(length), to: &place)
      Self.write(header, to: &place)
      pack(place)
    }
    count += frameCount
    return true
  }

  /// Adds the one byte that only says: still here.
  mutating func addKeepAlive() {
    reserve(1)
    storage[count] = 0
    count += 1
  }

  /// Hands everything over, after `encrypt` changed it in place, and starts anew.
  package mutating func take(_ encrypt: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &storage)
    taken.removeLast(taken.count - count)
    firstCapacity = min(
      max(count, Self.firstCapacities.lowerBound), Self.firstCapacities.upperBound)
    count = 0
    taken.withUnsafeMutableBytes(encrypt)
    return taken
  }

  /// Forgets everything.
  mutating func removeAll() {
    storage = []
    count = 0
  }

  private mutating func reserve(_ more: Int) {
    let needed = count + more
    if needed <= storage.count { return }
    let size = max(needed, storage.count * 2, firstCapacity)
    // What is not written yet is nobody's to read: zeroing it would only cost time.
    storage = [UInt8](unsafeUninitializedCapacity: size) { target, initialized in
      storage.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(target).copyMemory(from: .init(rebasing: $0[..<count]))
      }
      initialized = size
    }
  }

  private static func write(_ value: UInt64, to place: inout UnsafeMutablePointer<UInt8>) {
    var rest = value
    while rest >= 0x80 {
      place.pointee = UInt8(truncatingIfNeeded: rest) | 0x80
      place += 1
      rest >>= 7
    }
    place.pointee = UInt8(truncatingIfNeeded: rest)
    place += 1
  }
}
