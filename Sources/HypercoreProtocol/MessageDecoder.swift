internal import CDatMessages
internal import CProtobufC
internal import DatCoding
package import HypercoreCrypto

/// A decoder of message bodies. With `MessageEncoder` the only place that knows protobuf-c.
///
/// Presence, lengths and ranges are checked here, so the results need no further checks. Every
/// method returns nil for a body that the protocol doesn't allow.
package final class MessageDecoder {
  /// The content of a Feed message.
  package struct Feed: Equatable {
    package var discoveryKey: DiscoveryKey
    package var nonce: Nonce?
  }

  /// A Handshake, with the extensions' names as they were sent: they need not be UTF-8.
  package struct RawHandshake: Equatable {
    package var handshake: Handshake
    package var extensionNames: [[UInt8]]
  }

  private let arena = MessageArena(keeping: 16_384)

  /// The memory that is held for the next message, in bytes.
  var keptBytes: Int { arena.capacity }

  /// Frees the memory that is held for the next message.
  func shed() { arena.shed() }

  package init() {}

  /// The most memory that one message took so far, not counting the values made from it.
  package var largestReservation: Int { arena.largestReservation }

  /// The most memory that protobuf-c allocates for one field: its entry in the scan, twice as
  /// tables double, and a node with its hash.
  private static let bytesPerField = 256

  package func feed(_ body: UnsafeRawBufferPointer) -> Feed? {
    unpack(body, as: .feed, dat_wire__feed__unpack) { message, _ in
      guard let key = DiscoveryKey(bytes: message.discoverykey.bytes) else { return nil }
      guard message.has_nonce != 0 else { return Feed(discoveryKey: key, nonce: nil) }
      guard let nonce = Nonce(bytes: message.nonce.bytes) else { return nil }
      return Feed(discoveryKey: key, nonce: nonce)
    }
  }

  package func handshake(_ body: UnsafeRawBufferPointer) -> RawHandshake? {
    unpack(body, as: .handshake, dat_wire__handshake__unpack) { message, userData in
      guard message.n_extensions <= WireLimits.extensions,
        userData?.count ?? 0 <= WireLimits.userDataBytes,
        message.has_id == 0 || message.id.len <= WireLimits.peerIDBytes
      else { return nil }
      var names: [[UInt8]] = []
      for index in 0..<message.n_extensions {
        let name = message.extensions[index].bytes
        guard name.count <= WireLimits.extensionNameBytes else { return nil }
        names.append(Array(name))
      }
      return RawHandshake(
        handshake: Handshake(
          id: message.has_id != 0 ? Array(message.id.bytes) : nil,
          live: message.has_live != 0 && message.live != 0,
          userData: userData.map { Array($0) },
          extensions: names.map { String(decoding: $0, as: UTF8.self) },
          ack: message.has_ack != 0 && message.ack != 0),
        extensionNames: names)
    }
  }

  /// Decodes a message of one of the types 2 to 9; returns nil for any other type as well.
  package func message(_ type: MessageType, _ body: UnsafeRawBufferPointer) -> Message? {
    switch type {
    case .info:
      unpack(body, as: .info, dat_wire__info__unpack) { message, _ in
        .info(
          uploading: message.has_uploading != 0 && message.uploading != 0,
          downloading: message.has_downloading != 0 && message.downloading != 0)
      }
    case .have:
      unpack(body, as: .have, dat_wire__have__unpack) { message, bitfield in
        let length = message.has_length != 0 ? message.length : 1
        guard inRange(message.start), inRange(length) else { return nil }
        return .have(
          start: message.start, length: length, bitfield: bitfield.map { Array($0) },
          ack: message.has_ack != 0 && message.ack != 0)
      }
    case .unhave:
      unpack(body, as: .range, dat_wire__unhave__unpack) { message, _ in
        let length = message.has_length != 0 ? message.length : 1
        guard inRange(message.start), inRange(length) else { return nil }
        return .unhave(start: message.start, length: length)
      }
    case .want:
      unpack(body, as: .range, dat_wire__want__unpack) { message, _ in
        let length = message.has_length != 0 ? message.length : 0
        guard inRange(message.start), inRange(length) else { return nil }
        return .want(start: message.start, length: length)
      }
    case .unwant:
      unpack(body, as: .range, dat_wire__unwant__unpack) { message, _ in
        let length = message.has_length != 0 ? message.length : 0
        guard inRange(message.start), inRange(length) else { return nil }
        return .unwant(start: message.start, length: length)
      }
    case .request:
      unpack(body, as: .request, dat_wire__request__unpack) { message, _ in
        let bytes = message.has_bytes != 0 ? message.bytes : 0
        guard inRange(message.index), inRange(bytes) else { return nil }
        return .request(
          Request(
            index: message.index, bytes: bytes,
            hash: message.has_hash != 0 && message.hash != 0,
            nodes: message.has_nodes != 0 ? message.nodes : 0))
      }
    case .cancel:
      unpack(body, as: .cancel, dat_wire__cancel__unpack) { message, _ in
        let bytes = message.has_bytes != 0 ? message.bytes : 0
        guard inRange(message.index), inRange(bytes) else { return nil }
        return .cancel(
          index: message.index, bytes: bytes, hash: message.has_hash != 0 && message.hash != 0)
      }
    case .data:
      unpack(body, as: .data, dat_wire__data__unpack) { message, value in
        data(message, value: value).map { .data($0) }
      }
    case .feed, .handshake, .extension: nil
    }
  }

  private func data(_ message: DatWire__Data, value: UnsafeRawBufferPointer?) -> DataMessage? {
    guard inRange(message.index), message.n_nodes <= WireLimits.nodes else { return nil }
    var result = DataMessage(index: message.index)
    if message.has_signature != 0 {
      guard let signature = Signature(bytes: message.signature.bytes) else { return nil }
      result.signature = signature
    }
    if message.n_nodes > 0 {
      result.nodes.reserveCapacity(message.n_nodes)
      for index in 0..<message.n_nodes {
        guard let node = message.nodes[index]?.pointee, inRange(node.index), inRange(node.size),
          let hash = Digest(bytes: node.hash.bytes)
        else { return nil }
        result.nodes.append(Node(index: node.index, hash: hash, size: node.size))
      }
    }
    // Last, so that a refused message costs no copy. This is the only copy of the block in this
    // module.
    result.value = value.map { Array($0) }
    return result
  }

  private func inRange(_ value: UInt64) -> Bool { value <= Varint.maximum }

  /// Unpacks `body` and calls `convert` with the C message and the bytes of its bulk field; both
  /// are valid only during the call.
  @inline(__always)
  private func unpack<CMessage, Value>(
    _ body: UnsafeRawBufferPointer, as shape: BodyShape,
    _ unpacker: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) ->
      UnsafeMutablePointer<CMessage>?,
    _ convert: (CMessage, UnsafeRawBufferPointer?) -> Value?
  ) -> Value? {
    guard let scan = BodyScan(body, as: shape) else { return nil }
    let bulk = scan.bulk.map { UnsafeRawBufferPointer(rebasing: body[$0]) }
    func run(_ bytes: UnsafeRawBufferPointer) -> Value? {
      let bound = bytes.count + (scan.fieldCount + 4) * Self.bytesPerField
      let allocator = arena.reserve(bound)
      defer { arena.release() }
      let octets = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      guard let message = unpacker(allocator, bytes.count, octets) else { return nil }
      return convert(message.pointee, bulk)
    }
    guard scan.needsRewriting else { return run(body) }
    return BodyScan.rewrite(body, as: shape).withUnsafeBytes(run)
  }
}

extension ProtobufCBinaryData {
  /// The bytes, valid as long as the message.
  fileprivate var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : len)
  }
}
