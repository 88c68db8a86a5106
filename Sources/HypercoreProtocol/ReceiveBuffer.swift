internal import DatCoding
internal import HypercoreCrypto

/// Received bytes that are not parsed yet, one after the other in one array.
struct ReceiveBuffer {
  /// The part of a frame behind its length prefix, as places in the buffer.
  typealias Payload = Range<Int>

  /// What was found at the front.
  enum Frame {
    case payload(Payload)
    /// The buffer ends inside a frame, or is empty.
    case incomplete
    /// The length is over the limit, or its prefix too long.
    case tooLarge
  }

  private var storage: [UInt8] = []
  /// Where the bytes not yet parsed start.
  private var start = 0

  /// The array is given back when empty and larger than this.
  private static let keptBytes = 16_384

  /// How many bytes are not yet parsed.
  var count: Int { storage.count - start }

  /// Adds bytes, decrypted in place where there is a cipher.
  mutating func append(_ bytes: UnsafeRawBufferPointer, decrypting cipher: inout StreamCipher?) {
    compact()
    let first = storage.count
    storage.append(contentsOf: bytes)
    decrypt(from: first, with: &cipher)
  }

  /// Decrypts everything that is not parsed: it came before the key.
  mutating func decryptRest(with cipher: inout StreamCipher?) {
    decrypt(from: start, with: &cipher)
  }

  /// Takes one frame off the front. Keep-alives, which are empty frames, are skipped.
  mutating func nextFrame(limit: Int) -> Frame {
    while true {
      let found = storage.withUnsafeBytes { bytes -> Frame in
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
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

  /// Reads a part of the buffer; valid until the next change.
  func withBytes<Result>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  /// Forgets everything.
  mutating func removeAll() {
    storage = []
    start = 0
  }

  /// Gives a large array back once all of it is parsed.
  mutating func trim() {
    if start == storage.count, storage.capacity > Self.keptBytes { removeAll() }
  }

  /// Drops what was parsed, once that moves no more bytes than it frees.
  private mutating func compact() {
    if start == storage.count {
      storage.removeAll(keepingCapacity: true)
      start = 0
    } else if start > storage.count - start {
      storage.removeSubrange(..<start)
      start = 0
    }
  }

  private mutating func decrypt(from first: Int, with cipher: inout StreamCipher?) {
    storage.withUnsafeMutableBytes { bytes in
      cipher?.apply(to: UnsafeMutableRawBufferPointer(rebasing: bytes[first...]))
    }
  }
}
