internal import DatCoding
internal import HypercoreCrypto

/// A reader of the two messages that make up nearly all of a download, in the form in which every known writer encodes
/// them: each field at most once, in the order of its number, with keys of one byte.
///
/// It only ever declines: for any other form, and for any value out of range, a method returns nil, and `BodyScan` and
/// protobuf-c decide. What it does read, they would read in the same way.
struct PlainBody {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The most nodes that are read here; the proof of a block of a feed of a million blocks has 20.
  private static let nodes = 64
  /// The length of a node whose index and size take a byte each: the shortest there is.
  private static let shortestNode = 2 + 34 + 2

  /// Reads a whole Request.
  mutating func request() -> Request? {
    guard take(0x08), let index = number() else { return nil }
    var request = Request(index: index)
    if take(0x10) {
      guard let value = number() else { return nil }
      request.bytes = value
    }
    if take(0x18) {
      guard let value = anyNumber(), value <= 1 else { return nil }
      request.hash = value == 1
    }
    if take(0x20) {
      guard let value = anyNumber() else { return nil }
      request.nodes = value
    }
    return position == bytes.count ? request : nil
  }

  /// Reads a whole Data message.
  mutating func data() -> DataMessage? {
    guard take(0x08), let index = number() else { return nil }
    var message = DataMessage(index: index)
    var value: UnsafeRawBufferPointer?
    if take(0x12) {
      guard let length = number(), let content = content(length) else { return nil }
      value = content
    }
    guard readNodes(into: &message.nodes) else { return nil }
    if take(0x22) {
      guard take(UInt8(Signature.byteCount)), let content = content(UInt64(Signature.byteCount))
      else { return nil }
      message.signature = Signature(bytes: content)
    }
    guard position == bytes.count else { return nil }
    // Last, so that a body that is declined costs no copy.
    message.value = value.map { Array($0) }
    return message
  }

  /// Reads the nodes that follow.
  ///
  /// - Returns: false if they are of another form, or too many.
  private mutating func readNodes(into nodes: inout [Node]) -> Bool {
    let most = min((bytes.count - position) / Self.shortestNode + 1, Self.nodes)
    guard position < bytes.count, bytes[position] == 0x1a else { return true }
    return withUnsafeTemporaryAllocation(of: Node.self, capacity: most) { read in
      var count = 0
      while take(0x1a) {
        guard count < most, let node = node() else { return false }
        read.initializeElement(at: count, to: node)
        count += 1
      }
      nodes = Array(UnsafeBufferPointer(rebasing: read[..<count]))
      return true
    }
  }

  /// Reads one node, with its length before it.
  private mutating func node() -> Node? {
    guard let length = number(), length <= UInt64(bytes.count - position) else { return nil }
    let end = position + Int(length)
    guard take(0x08), let index = number(), take(0x12), take(UInt8(Digest.byteCount)),
      let content = content(UInt64(Digest.byteCount)), let hash = Digest(bytes: content),
      take(0x18), let size = number(), position == end
    else { return nil }
    return Node(index: index, hash: hash, size: size)
  }

  // MARK: Parts

  /// Passes one byte if it is the next.
  private mutating func take(_ byte: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  /// Reads an integer that is an index or a size: up to 2^53 - 1.
  private mutating func number() -> UInt64? {
    guard let value = anyNumber(), value <= Varint.maximum else { return nil }
    return value
  }

  /// Reads an integer of up to 64 bits.
  private mutating func anyNumber() -> UInt64? {
    if position < bytes.count, bytes[position] < 0x80 {
      defer { position += 1 }
      return UInt64(bytes[position])
    }
    guard case .value(let value, let length) = Varint.read(.init(rebasing: bytes[position...]))
    else { return nil }
    position += length
    return value
  }

  /// Passes the content of a field.
  private mutating func content(_ length: UInt64) -> UnsafeRawBufferPointer? {
    guard length <= UInt64(bytes.count - position) else { return nil }
    let start = position
    position += Int(length)
    return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
  }
}
