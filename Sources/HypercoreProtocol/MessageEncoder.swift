internal import CDatMessages
internal import CProtobufC
package import HypercoreCrypto

/// An encoder that packs messages directly into an output buffer. With `MessageDecoder` the only
/// place that knows protobuf-c.
///
/// Fields that are nil are left out; all others are written even if they equal their default, as in
/// the reference. Every method returns false if the frame would exceed the limit.
package struct MessageEncoder {
  /// The sender's number of the feed.
  let channel: Int

  package init(channel: Int) { self.channel = channel }

  package func feed(_ key: DiscoveryKey, nonce: Nonce?, to output: inout OutputBuffer) -> Bool {
    key.withUnsafeBytes { keyBytes in
      withBytes(nonce?.bytes) { nonceBytes in
        var message = DatWire__Feed()
        dat_wire__feed__init(&message)
        message.discoverykey = ProtobufCBinaryData(keyBytes)
        message.has_nonce = present(nonce)
        message.nonce = nonceBytes
        return output.addFrame(
          channel: channel, type: .feed, bodyCount: dat_wire__feed__get_packed_size(&message)
        ) { _ = dat_wire__feed__pack(&message, $0) }
      }
    }
  }

  /// - Parameter extensions: the names in UTF-8.
  package func handshake(
    id: [UInt8]?, live: Bool?, userData: [UInt8]?, extensions: [[UInt8]], ack: Bool?,
    to output: inout OutputBuffer
  ) -> Bool {
    withBytes(id) { idBytes in
      withBytes(userData) { userBytes in
        withBytes(Array(extensions.joined())) { joined in
          withUnsafeTemporaryAllocation(
            of: ProtobufCBinaryData.self, capacity: extensions.count
          ) { names in
            var place = joined.data
            for (index, name) in extensions.enumerated() {
              names.initializeElement(
                at: index, to: ProtobufCBinaryData(len: name.count, data: place))
              place = place.map { $0 + name.count }
            }
            var message = DatWire__Handshake()
            dat_wire__handshake__init(&message)
            message.has_id = present(id)
            message.id = idBytes
            message.has_live = present(live)
            message.live = flag(live)
            message.has_userdata = present(userData)
            message.userdata = userBytes
            message.n_extensions = extensions.count
            message.extensions = names.baseAddress
            message.has_ack = present(ack)
            message.ack = flag(ack)
            return output.addFrame(
              channel: channel, type: .handshake,
              bodyCount: dat_wire__handshake__get_packed_size(&message)
            ) { _ = dat_wire__handshake__pack(&message, $0) }
          }
        }
      }
    }
  }

  package func info(uploading: Bool?, downloading: Bool?, to output: inout OutputBuffer) -> Bool {
    var message = DatWire__Info()
    dat_wire__info__init(&message)
    message.has_uploading = present(uploading)
    message.uploading = flag(uploading)
    message.has_downloading = present(downloading)
    message.downloading = flag(downloading)
    return output.addFrame(
      channel: channel, type: .info, bodyCount: dat_wire__info__get_packed_size(&message)
    ) { _ = dat_wire__info__pack(&message, $0) }
  }

  package func have(
    start: UInt64, length: UInt64?, bitfield: [UInt8]?, ack: Bool?, to output: inout OutputBuffer
  ) -> Bool {
    withBytes(bitfield) { bitfieldBytes in
      var message = DatWire__Have()
      dat_wire__have__init(&message)
      message.start = start
      message.has_length = present(length)
      message.length = length ?? 0
      message.has_bitfield = present(bitfield)
      message.bitfield = bitfieldBytes
      message.has_ack = present(ack)
      message.ack = flag(ack)
      return output.addFrame(
        channel: channel, type: .have, bodyCount: dat_wire__have__get_packed_size(&message)
      ) { _ = dat_wire__have__pack(&message, $0) }
    }
  }

  package func unhave(start: UInt64, length: UInt64?, to output: inout OutputBuffer) -> Bool {
    var message = DatWire__Unhave()
    dat_wire__unhave__init(&message)
    message.start = start
    message.has_length = present(length)
    message.length = length ?? 0
    return output.addFrame(
      channel: channel, type: .unhave, bodyCount: dat_wire__unhave__get_packed_size(&message)
    ) { _ = dat_wire__unhave__pack(&message, $0) }
  }

  package func want(start: UInt64, length: UInt64?, to output: inout OutputBuffer) -> Bool {
    var message = DatWire__Want()
    dat_wire__want__init(&message)
    message.start = start
    message.has_length = present(length)
    message.length = length ?? 0
    return output.addFrame(
      channel: channel, type: .want, bodyCount: dat_wire__want__get_packed_size(&message)
    ) { _ = dat_wire__want__pack(&message, $0) }
  }

  package func unwant(start: UInt64, length: UInt64?, to output: inout OutputBuffer) -> Bool {
    var message = DatWire__Unwant()
    dat_wire__unwant__init(&message)
    message.start = start
    message.has_length = present(length)
    message.length = length ?? 0
    return output.addFrame(
      channel: channel, type: .unwant, bodyCount: dat_wire__unwant__get_packed_size(&message)
    ) { _ = dat_wire__unwant__pack(&message, $0) }
  }

  package func request(
    index: UInt64, bytes: UInt64?, hash: Bool?, nodes: UInt64?, to output: inout OutputBuffer
  ) -> Bool {
    var message = DatWire__Request()
    dat_wire__request__init(&message)
    message.index = index
    message.has_bytes = present(bytes)
    message.bytes = bytes ?? 0
    message.has_hash = present(hash)
    message.hash = flag(hash)
    message.has_nodes = present(nodes)
    message.nodes = nodes ?? 0
    return output.addFrame(
      channel: channel, type: .request, bodyCount: dat_wire__request__get_packed_size(&message)
    ) { _ = dat_wire__request__pack(&message, $0) }
  }

  package func cancel(index: UInt64, bytes: UInt64?, hash: Bool?, to output: inout OutputBuffer)
    -> Bool
  {
    var message = DatWire__Cancel()
    dat_wire__cancel__init(&message)
    message.index = index
    message.has_bytes = present(bytes)
    message.bytes = bytes ?? 0
    message.has_hash = present(hash)
    message.hash = flag(hash)
    return output.addFrame(
      channel: channel, type: .cancel, bodyCount: dat_wire__cancel__get_packed_size(&message)
    ) { _ = dat_wire__cancel__pack(&message, $0) }
  }

  package func data(
    index: UInt64, value: UnsafeRawBufferPointer?, nodes: [Node], signature: Signature?,
    to output: inout OutputBuffer
  ) -> Bool {
    withNodes(nodes) { nodePointers in
      (signature ?? Signature()).withUnsafeBytes { signatureBytes in
        var message = DatWire__Data()
        dat_wire__data__init(&message)
        message.index = index
        message.has_value = present(value)
        message.value = value.map { ProtobufCBinaryData($0) } ?? ProtobufCBinaryData()
        message.n_nodes = nodes.count
        message.nodes = nodePointers.baseAddress
        message.has_signature = present(signature)
        message.signature = ProtobufCBinaryData(signatureBytes)
        return output.addFrame(
          channel: channel, type: .data, bodyCount: dat_wire__data__get_packed_size(&message)
        ) { _ = dat_wire__data__pack(&message, $0) }
      }
    }
  }

  /// Calls `body` with the nodes in protobuf-c's form, on the stack if they are few.
  private func withNodes(
    _ nodes: [Node],
    _ body: (UnsafeMutableBufferPointer<UnsafeMutablePointer<DatWire__Data__Node>?>) -> Bool
  ) -> Bool {
    withUnsafeTemporaryAllocation(of: Digest.self, capacity: nodes.count) { hashes in
      withUnsafeTemporaryAllocation(of: DatWire__Data__Node.self, capacity: nodes.count) {
        messages in
        withUnsafeTemporaryAllocation(
          of: UnsafeMutablePointer<DatWire__Data__Node>?.self, capacity: nodes.count
        ) { pointers in
          for (index, node) in nodes.enumerated() {
            hashes.initializeElement(at: index, to: node.hash)
            var message = DatWire__Data__Node()
            dat_wire__data__node__init(&message)
            message.index = node.index
            message.size = node.size
            let start = UnsafeRawPointer(hashes.baseAddress.map { $0 + index })
            message.hash = ProtobufCBinaryData(
              UnsafeRawBufferPointer(start: start, count: Digest.byteCount))
            messages.initializeElement(at: index, to: message)
            pointers.initializeElement(at: index, to: messages.baseAddress.map { $0 + index })
          }
          return body(pointers)
        }
      }
    }
  }

  private func present<Value>(_ value: Value?) -> protobuf_c_boolean { value == nil ? 0 : 1 }

  private func flag(_ value: Bool?) -> protobuf_c_boolean { value == true ? 1 : 0 }

  private func withBytes<Result>(
    _ bytes: [UInt8]?, _ body: (ProtobufCBinaryData) -> Result
  ) -> Result {
    guard let bytes else { return body(ProtobufCBinaryData()) }
    return bytes.withUnsafeBytes { body(ProtobufCBinaryData($0)) }
  }
}

extension ProtobufCBinaryData {
  /// Bytes to pack: protobuf-c only reads them, although its type doesn't say so.
  fileprivate init(_ bytes: UnsafeRawBufferPointer) {
    let octets = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    self.init(len: bytes.count, data: UnsafeMutablePointer(mutating: octets))
  }
}
