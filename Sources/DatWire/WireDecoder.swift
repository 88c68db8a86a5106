internal import DatCoding
package import HypercoreCrypto
package import HypercoreProtocol

/// A part of one direction of a connection, as ``WireDecoder`` finds it.
package struct WireItem: Hashable, Sendable {
  /// The content of a part.
  package enum Content: Hashable, Sendable {
    /// A Feed message, which opens a channel.
    case feed(DiscoveryKey, Nonce?)
    /// The description of the sender.
    case handshake(Handshake)
    /// A message about a feed.
    case message(Message)
    /// A message of an extension: its index in the sender's list, its name if that list was seen, and its
    /// bytes.
    case `extension`(UInt64, name: String?, payload: [UInt8])
    /// A frame of a type that the protocol does not have.
    case unknown(type: UInt8)
    /// A frame of no content, which keeps the connection alive.
    case keepAlive
    /// From here on everything is encrypted, with a key that is not known.
    case sealed
    /// The key belongs to another feed than the one that the connection begins with.
    case otherKey
    /// Bytes that the protocol does not allow, with a sentence. Nothing is decoded after them.
    case malformed(String)
  }

  /// The offset of its frame in the direction's bytes.
  package var offset: UInt64
  /// The size of its frame in bytes, with the length prefix; 0 if it is not a frame.
  package var size: Int
  /// The number of its channel, in the sender's count; nil if it has none.
  package var channel: UInt64?
  /// The discovery key of that channel, if its Feed message was seen.
  package var feed: DiscoveryKey?
  /// The content.
  package var content: Content
}

/// A decoder of one direction of a recorded connection, which takes part in nothing.
///
/// The first Feed message is in clear. After it everything is encrypted with XSalsa20 under the key of that
/// feed and the nonce in the message; a connection without a nonce is not encrypted.
///
/// It keeps at most one incomplete frame: 8 MiB and what was added last.
package struct WireDecoder {
  private enum State {
    case clear, decrypting, sealed, ended
  }

  /// The key of the connection's first feed; nil if it is not known.
  private let key: PublicKey?
  private var state = State.clear
  private var cipher: StreamCipher?
  private var bytes: [UInt8] = []
  private var start = 0
  private var offset: UInt64 = 0
  private var feeds: [UInt64: DiscoveryKey] = [:]
  private var extensions: [String]?
  private let decoder = MessageDecoder()
  /// What has to be said after the first Feed message.
  private var notice: WireItem.Content?

  /// The number of bytes of an encrypted part that were skipped, as the key is not known.
  package private(set) var sealedBytes: UInt64 = 0

  /// Creates a decoder at the beginning of a direction.
  package init(key: PublicKey?) { self.key = key }

  /// The number of bytes that are kept until more of their frame comes.
  package var waiting: Int { bytes.count - start }

  /// True if decoding has ended at a fault.
  package var hasEnded: Bool { state == .ended }

  /// Takes the next bytes, and passes on the items that end in them.
  package mutating func add(_ more: [UInt8], _ found: (WireItem) -> Void) {
    switch state {
    case .ended: return
    case .sealed: sealedBytes += UInt64(more.count)
    case .clear: bytes += more
    case .decrypting:
      let old = bytes.count
      bytes += more
      bytes.withUnsafeMutableBytes { all in
        cipher?.apply(to: UnsafeMutableRawBufferPointer(rebasing: all[old...]))
      }
    }
    while let item = next() {
      found(item)
      guard let notice else { continue }
      self.notice = nil
      found(WireItem(offset: offset, size: 0, content: notice))
    }
    guard start > 0 else { return }
    bytes.removeSubrange(..<start)
    start = 0
  }

  /// Returns the item for an incomplete frame at the end; nil if the direction ended between frames.
  package func rest() -> WireItem? {
    guard waiting > 0, state != .ended else { return nil }
    return WireItem(
      offset: offset, size: waiting, content: .malformed("The recording ends inside a frame."))
  }

  // MARK: Frames

  private mutating func next() -> WireItem? {
    guard state == .clear || state == .decrypting, start < bytes.count else { return nil }
    let prefix = bytes[start..<min(bytes.count, start + WireLimits.lengthPrefixBytes)]
    let reading = Array(prefix).withUnsafeBytes { Varint.read($0) }
    guard case .value(let length, let prefixCount) = reading else {
      if prefix.count < WireLimits.lengthPrefixBytes { return nil }
      return fail("A frame's length has more than 4 bytes", size: prefix.count)
    }
    guard length <= UInt64(WireLimits.frameBytes) else {
      return fail(
        "A frame of \(length) bytes is longer than the \(WireLimits.frameBytes) that may be",
        size: prefixCount)
    }
    let size = prefixCount + Int(length)
    guard bytes.count - start >= size else { return nil }
    let payload = Array(bytes[start + prefixCount..<start + size])
    let before = state
    let result =
      payload.isEmpty
      ? WireItem(offset: offset, size: size, content: .keepAlive) : item(payload, size)
    start += size
    offset += UInt64(size)
    if before == .clear { openRest() }
    return result
  }

  /// Decrypts what has arrived behind the first Feed message, or drops it if it can't be read.
  private mutating func openRest() {
    switch state {
    case .decrypting:
      bytes.withUnsafeMutableBytes { [start] all in
        cipher?.apply(to: UnsafeMutableRawBufferPointer(rebasing: all[start...]))
      }
    case .sealed:
      sealedBytes += UInt64(bytes.count - start)
      bytes.removeSubrange(start...)
    case .clear, .ended: break
    }
  }

  private mutating func fail(_ sentence: String, size: Int) -> WireItem {
    let secret = state == .decrypting ? ", or the key is not this connection's" : ""
    state = .ended
    return WireItem(offset: offset, size: size, content: .malformed("\(sentence)\(secret)."))
  }

  private mutating func item(_ payload: [UInt8], _ size: Int) -> WireItem {
    guard case .value(let header, let count) = payload.withUnsafeBytes({ Varint.read($0) }) else {
      return fail("A frame's header is not a number", size: size)
    }
    let (channel, type) = (header >> 4, UInt8(header & 15))
    var item = WireItem(
      offset: offset, size: size, channel: channel, feed: feeds[channel],
      content: .unknown(type: type))
    // As the protocol has it: a message without fields on a low channel is ignored.
    guard let known = MessageType(rawValue: type), payload.count >= 2 else { return item }
    guard let content = content(known, Array(payload[count...]), channel) else {
      return fail("A message of type \(known) on channel \(channel) can't be decoded", size: size)
    }
    item.content = content
    item.feed = feeds[channel]
    return item
  }

  private mutating func content(
    _ type: MessageType, _ body: [UInt8], _ channel: UInt64
  ) -> WireItem.Content? {
    switch type {
    case .feed:
      guard let feed = body.withUnsafeBytes({ decoder.feed($0) }),
        channel < UInt64(WireLimits.channels)
      else { return nil }
      let isFirst = feeds.isEmpty
      feeds[channel] = feed.discoveryKey
      if isFirst { began(feed) }
      return .feed(feed.discoveryKey, feed.nonce)
    case .handshake:
      guard let raw = body.withUnsafeBytes({ decoder.handshake($0) }) else { return nil }
      if extensions == nil { extensions = raw.handshake.extensions }
      return .handshake(raw.handshake)
    case .extension:
      if body.isEmpty { return .extension(0, name: nil, payload: []) }
      guard case .value(let index, let length) = body.withUnsafeBytes({ Varint.read($0) }) else {
        return nil
      }
      let names = extensions ?? []
      let name = index < UInt64(names.count) ? names[Int(index)] : nil
      return .extension(index, name: name, payload: Array(body[length...]))
    default:
      return body.withUnsafeBytes { decoder.message(type, $0) }.map { .message($0) }
    }
  }

  // MARK: The beginning

  /// Notes the first feed: what follows its message is encrypted.
  private mutating func began(_ feed: MessageDecoder.Feed) {
    guard let nonce = feed.nonce else { return }
    guard let key, key.discoveryKey == feed.discoveryKey else {
      notice = key == nil ? .sealed : .otherKey
      state = .sealed
      return
    }
    cipher = StreamCipher(key: key, nonce: nonce)
    state = .decrypting
  }
}
