internal import DatCoding

/// Which fields a message has, as far as scanning needs to know it.
struct BodyShape {
  /// Fields 1 to this number are known.
  let knownFields: UInt64
  /// The bytes field that may be long: it is taken from the received bytes directly.
  var bulkField: UInt64 = 0
  /// The field that holds messages of ``nodeFields`` fields.
  var nodeField: UInt64 = 0

  static let nodeFields: UInt64 = 3

  static let feed = BodyShape(knownFields: 2)
  static let handshake = BodyShape(knownFields: 5, bulkField: 3)
  static let info = BodyShape(knownFields: 2)
  static let have = BodyShape(knownFields: 4, bulkField: 3)
  static let range = BodyShape(knownFields: 2)
  static let request = BodyShape(knownFields: 4)
  static let cancel = BodyShape(knownFields: 3)
  static let data = BodyShape(knownFields: 4, bulkField: 2, nodeField: 3)
  static let node = BodyShape(knownFields: nodeFields)
}

/// One field of a protobuf message, by its place.
private struct Field {
  var number: UInt64
  var wireType: UInt64
  /// Where the content is, without key and length.
  var content: Range<Int>
  /// Whether key and length are no longer than protobuf-c takes them.
  var isPlain: Bool

  static let lengthDelimited: UInt64 = 2

  /// The field that starts at `position`; nil where the bytes are no field.
  @inline(__always)
  init?(in body: UnsafeRawBufferPointer, at position: Int) {
    guard case .value(let key, let keyLength) = Self.varint(in: body, at: position) else {
      return nil
    }
    number = key >> 3
    wireType = key & 7
    isPlain = keyLength == 1
    // Field numbers have 29 bits.
    guard number < 1 << 29 else { return nil }
    let start = position + keyLength
    let count: UInt64
    switch wireType {
    case 0:
      // Also refuses what protobuf-c would cut to 64 bits.
      guard case .value(_, let length) = Self.varint(in: body, at: start) else { return nil }
      content = start..<start + length
      return
    case 1: count = 8
    case 5: count = 4
    case Self.lengthDelimited:
      guard case .value(let value, let length) = Self.varint(in: body, at: start) else {
        return nil
      }
      guard value <= UInt64(body.count - start - length) else { return nil }
      if length > 5 { isPlain = false }
      content = start + length..<start + length + Int(value)
      return
    default: return nil
    }
    guard count <= UInt64(body.count - start) else { return nil }
    content = start..<start + Int(count)
  }

  @inline(__always)
  private static func varint(
    in body: UnsafeRawBufferPointer, at position: Int
  ) -> Varint.Reading {
    if position < body.count, body[position] < 0x80 {
      return .value(UInt64(body[position]), length: 1)
    }
    return Varint.read(UnsafeRawBufferPointer(rebasing: body[position...]))
  }
}

/// A look over a message's body before protobuf-c sees it.
///
/// protobuf-c checks wire types, required fields and bounds, but it copies unknown fields, allocates
/// for every repeated one, cuts integers to 64 bits and doesn't take all padded lengths. So the body
/// is walked once, without allocating, to bound all of that.
struct BodyScan {
  /// How many fields there are, those inside nodes included.
  private(set) var fieldCount = 0
  /// Where the last bulk field's bytes are.
  private(set) var bulk: Range<Int>?
  /// Whether protobuf-c should get a rewritten body: without unknown fields, without a long bulk
  /// field, with keys and lengths in their shortest form.
  private(set) var needsRewriting = false

  /// A bulk field up to this size is left where it is: rewriting would cost more.
  private static let bulkLeftInPlace = 512

  /// Nil where the body is malformed or has too many fields.
  init?(_ body: UnsafeRawBufferPointer, as shape: BodyShape) {
    guard walk(body, as: shape) else { return nil }
    if let bulk, bulk.count > Self.bulkLeftInPlace { needsRewriting = true }
  }

  private mutating func walk(_ body: UnsafeRawBufferPointer, as shape: BodyShape) -> Bool {
    var position = 0
    while position < body.count {
      guard let field = Field(in: body, at: position) else { return false }
      fieldCount += 1
      if fieldCount > WireLimits.fields { return false }
      position = field.content.upperBound
      if !field.isPlain || field.number == 0 || field.number > shape.knownFields {
        needsRewriting = true
      }
      guard field.wireType == Field.lengthDelimited, field.number > 0 else { continue }
      if field.number == shape.bulkField {
        bulk = field.content
      } else if field.number == shape.nodeField {
        guard walk(UnsafeRawBufferPointer(rebasing: body[field.content]), as: .node) else {
          return false
        }
      }
    }
    return true
  }

  /// The known fields of a scanned body but its bulk field, in their shortest form.
  static func rewrite(_ body: UnsafeRawBufferPointer, as shape: BodyShape) -> [UInt8] {
    var output: [UInt8] = []
    var position = 0
    while position < body.count, let field = Field(in: body, at: position) {
      position = field.content.upperBound
      guard field.number > 0, field.number <= shape.knownFields else { continue }
      let isDelimited = field.wireType == Field.lengthDelimited
      if isDelimited, field.number == shape.bulkField { continue }
      Varint.write(field.number << 3 | field.wireType, to: &output)
      let content = UnsafeRawBufferPointer(rebasing: body[field.content])
      if isDelimited, field.number == shape.nodeField {
        let node = rewrite(content, as: .node)
        Varint.write(UInt64(node.count), to: &output)
        output.append(contentsOf: node)
        continue
      }
      if isDelimited { Varint.write(UInt64(content.count), to: &output) }
      output.append(contentsOf: content)
    }
    return output
  }
}
