internal import DatCoding

/// The fields of a message, as far as scanning has to know them.
struct BodyShape {
  /// The number of the last known field; all from 1 on are known.
  let knownFields: UInt64
  /// The number of the bytes field that may be long: it is taken directly from the received bytes.
  var bulkField: UInt64 = 0
  /// The number of the field that holds messages of ``nodeFields`` fields.
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

/// One field of a protobuf message, by its position.
private struct Field {
  var number: UInt64
  var wireType: UInt64
  /// The range of the content, without key and length.
  var content: Range<Int>
  /// True if key and length are in a form that protobuf-c takes.
  var isPlain: Bool

  static let lengthDelimited: UInt64 = 2

  /// Reads the field at `position`; nil if the bytes are not a field.
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
      // This also refuses integers that protobuf-c would truncate to 64 bits.
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

/// A scan of a message's body before protobuf-c sees it.
///
/// protobuf-c checks wire types, required fields and bounds. But it copies unknown fields,
/// allocates for every repeated one, truncates integers to 64 bits and doesn't take all padded
/// lengths. So the body is scanned once, without allocating, to bound all of that.
struct BodyScan {
  /// The number of fields, including those inside nodes.
  private(set) var fieldCount = 0
  /// The range of the last bulk field's bytes.
  private(set) var bulk: Range<Int>?
  /// True if protobuf-c needs a rewritten body: without unknown fields, without a long bulk field,
  /// with keys and lengths in their shortest form.
  private(set) var needsRewriting = false

  /// The greatest size of a bulk field that is left in place: rewriting would cost more.
  private static let bulkLeftInPlace = 512

  /// Scans a body; nil if it is malformed or has too many fields.
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

  /// The known fields of a scanned body except its bulk field, in their shortest form.
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
