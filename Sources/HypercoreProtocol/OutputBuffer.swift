internal import DatCoding

/// The output of a connection: frames one after another in one array.
///
/// The array is longer than its content, so that a frame is packed in place.
package struct OutputBuffer {
  private var storage: [UInt8] = []
  /// The number of bytes that are ready.
  package private(set) var count = 0

  package init() {}

  /// The capacity of a new array: the size of the last content, within bounds.
  private var firstCapacity = Self.firstCapacities.lowerBound

  /// The bounds: from the requests or announcements of one turn to the blocks of one turn.
  private static let firstCapacities = 512...393_216

  /// Adds one frame, whose body of `bodyCount` bytes `pack` writes.
  ///
  /// - Returns: false, with nothing added, if the frame would exceed the limit.
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

  /// Adds a keep-alive, which is one byte.
  mutating func addKeepAlive() {
    reserve(1)
    storage[count] = 0
    count += 1
  }

  /// Returns everything, after `encrypt` changed it in place, and starts anew.
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

  /// Drops everything.
  mutating func removeAll() {
    storage = []
    count = 0
  }

  private mutating func reserve(_ more: Int) {
    let needed = count + more
    if needed <= storage.count { return }
    let size = max(needed, storage.count * 2, firstCapacity)
    // Bytes that are not written yet are never read, so zeroing them would only cost time.
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
