internal import DatCoding
internal import HypercoreCrypto

/// Received bytes that are not parsed yet, in one array.
struct ReceiveBuffer {
  /// The part of a frame after its length prefix, as a range of the buffer.
  typealias Payload = Range<Int>

  /// The result of looking for a frame at the front.
  enum Frame {
    case payload(Payload)
    /// The buffer ends inside a frame, or is empty.
    case incomplete
    /// The length exceeds the limit, or its prefix is too long.
    case tooLarge
  }

  /// The array, longer than its content, so that bytes are decrypted on their way into it.
  private var storage: [UInt8] = []
  /// The start and the end of the bytes that are not parsed yet.
  private var start = 0
  private var end = 0

  /// The size above which the array is released when it is empty.
  private static let keptBytes = 16_384
  /// The size of a frame above which it is worth moving what follows it.
  private static let largeFrame = 1 << 20

  /// The number of bytes that are not parsed yet.
  var count: Int { end - start }

  /// The range of everything that is here.
  var places: Range<Int> { 0..<end }

  /// Adds bytes, decrypted if there is a cipher.
  mutating func append(_ bytes: UnsafeRawBufferPointer, decrypting cipher: inout StreamCipher?) {
    if bytes.isEmpty { return }
    makeRoom(for: bytes.count)
    storage.withUnsafeMutableBytes { storage in
      let target = UnsafeMutableRawBufferPointer(rebasing: storage[end..<end + bytes.count])
      if cipher == nil { target.copyMemory(from: bytes) }
      cipher?.apply(from: bytes, to: target)
    }
    end += bytes.count
  }

  /// Decrypts all bytes that are not parsed: they arrived before the key.
  mutating func decryptRest(with cipher: inout StreamCipher?) {
    storage.withUnsafeMutableBytes { bytes in
      cipher?.apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]))
    }
  }

  /// Removes one frame from the front. Keep-alives, which are empty frames, are skipped.
  mutating func nextFrame(limit: Int) -> Frame {
    while true {
      let found = storage.withUnsafeBytes { bytes -> Frame in
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        let prefix = UnsafeRawBufferPointer(
          rebasing: rest[..<min(rest.count, WireLimits.lengthPrefixBytes)])
        guard case .value(let length, let prefixCount) = Varint.read(prefix) else {
          return prefix.count == WireLimits.lengthPrefixBytes ? .tooLarge : .incomplete
        }
        guard length <= UInt64(limit) else { return .tooLarge }
        guard rest.count - prefixCount >= Int(length) else { return .incomplete }
        let first = start + prefixCount
        return .payload(first..<first + Int(length))
      }
      guard case .payload(let payload) = found else { return found }
      start = payload.upperBound
      if !payload.isEmpty { return found }
    }
  }

  /// The start of an incomplete frame: the length of its payload, and the offset of its first byte. Nil
  /// before the length is known.
  func unfinishedFrame() -> (length: Int, start: Int)? {
    storage.withUnsafeBytes { bytes in
      let rest = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
      guard case .value(let length, let prefixCount) = Varint.read(rest),
        length <= UInt64(WireLimits.frameBytes)
      else { return nil }
      return (Int(length), start + prefixCount)
    }
  }

  /// Reads a part of the buffer; valid until the next change.
  func withBytes<Result>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  /// Drops everything.
  mutating func removeAll() {
    storage = []
    start = 0
    end = 0
  }

  /// Releases a large array once all of it is parsed.
  mutating func trim() {
    if count == 0, storage.count > Self.keptBytes { removeAll() }
  }

  /// The memory that is held, in bytes.
  var capacity: Int { storage.count }

  /// Releases the array if all of it is parsed.
  mutating func shed() {
    if count == 0 { removeAll() }
  }

  /// Releases the memory of a large frame: its bytes were copied, and need not stay while the message is
  /// handled.
  mutating func giveBack(_ payload: Payload) {
    guard payload.count > Self.largeFrame, payload.upperBound == start else { return }
    storage = Array(storage[start..<end])
    end = storage.count
    start = 0
  }

  /// Makes room for as many bytes. Parsed bytes are dropped if that moves no more bytes than it frees.
  private mutating func makeRoom(for more: Int) {
    let unparsed = count
    if start > unparsed || unparsed == 0 {
      storage.withUnsafeMutableBytes { bytes in
        UnsafeMutableRawBufferPointer(rebasing: bytes[..<unparsed])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      }
      start = 0
      end = unparsed
    }
    guard end + more > storage.count else { return }
    let size = max(unparsed + more, 2 * unparsed)
    // Bytes that are not written yet are never read, so zeroing them would only cost time.
    storage = [UInt8](unsafeUninitializedCapacity: size) { target, initialized in
      storage.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(target).copyMemory(from: .init(rebasing: $0[start..<end]))
      }
      initialized = size
    }
    start = 0
    end = unparsed
  }
}
