internal import DatCoding
public import HypercoreCrypto

extension Connection {
  /// Opens a feed on this side: sends Feed and, for the first feed, Handshake. The messages that waited for
  /// it are the next events.
  ///
  /// - Returns: its channel; the same one again for a feed that is open already.
  /// - Throws: ``ProtocolError``. If the first feed of an encrypted connection is not the remote's, the
  ///   connection is closed. Otherwise it goes on: the feed was closed here before, there are too many feeds,
  ///   or the options exceed what a peer would take.
  public func open(_ key: PublicKey) throws(ProtocolError) -> ChannelID {
    if isClosed { throw .connectionClosed }
    let name = key.discoveryKey
    if let channel = channels.localID(of: name) {
      guard channels.isOpen(channel) else { throw .channelClosed }
      return channel
    }
    guard channels.localCount < maximumChannels else { throw .tooManyFeeds(maximumChannels) }
    let isFirst = firstFeed == nil
    if isFirst {
      try checkOptions()
      if options.isEncrypted, let remoteFirstFeed, remoteFirstFeed != name {
        throw fail(.firstFeedMismatch)
      }
    }
    let (channel, queue) = channels.openLocally(name)
    let encoder = MessageEncoder(channel: channel.number)
    try sent(
      encoder.feed(
        name, nonce: isFirst && options.isEncrypted ? options.nonce : nil, to: &output.buffer))
    if isFirst { try begin(with: key, name: name, encoder) }
    for message in queue { replay.append(message, on: channel) }
    return channel
  }

  /// Closes a feed on this side. The remote isn't notified, as there is no message for it; what it still
  /// sends is dropped. The feed can't be opened again on this connection.
  public func close(_ channel: ChannelID) { channels.closeLocally(channel) }

  /// Queues a message.
  ///
  /// - Throws: ``ProtocolError`` if the channel or the connection is closed, or the message is larger than 8
  ///   MiB; nothing is sent then.
  public func send(_ message: Message, on channel: ChannelID) throws(ProtocolError) {
    let encoder = try encoder(for: channel)
    switch message {
    case .info(let uploading, let downloading):
      try sent(encoder.info(uploading: uploading, downloading: downloading, to: &output.buffer))
    case .have(let start, let length, let bitfield, let ack):
      // The reference leaves out the length of one block, and `ack` if it is false.
      let isOneBlock = length == 1 && bitfield == nil
      try sent(
        encoder.have(
          start: start, length: isOneBlock ? nil : length, bitfield: bitfield,
          ack: ack ? true : nil, to: &output.buffer))
    case .unhave(let start, let length):
      try sent(encoder.unhave(start: start, length: length, to: &output.buffer))
    case .want(let start, let length):
      try sent(encoder.want(start: start, length: length, to: &output.buffer))
    case .unwant(let start, let length):
      try sent(encoder.unwant(start: start, length: length, to: &output.buffer))
    case .request(let request):
      try sent(
        encoder.request(
          index: request.index, bytes: request.bytes, hash: request.hash, nodes: request.nodes,
          to: &output.buffer))
    case .cancel(let index, let bytes, let hash):
      try sent(encoder.cancel(index: index, bytes: bytes, hash: hash, to: &output.buffer))
    case .data(let data):
      let fits = data.value.withBytes { value in
        encoder.data(
          index: data.index, value: value, nodes: data.nodes, signature: data.signature,
          to: &output.buffer)
      }
      try sent(fits)
    }
  }

  /// Queues a Data message, copying its block from its place directly to the output.
  ///
  /// - Throws: as ``send(_:on:)``.
  public func sendData(
    index: UInt64, value: UnsafeRawBufferPointer?, nodes: [Node], signature: Signature?,
    on channel: ChannelID
  ) throws(ProtocolError) {
    let encoder = try encoder(for: channel)
    try sent(
      encoder.data(
        index: index, value: value, nodes: nodes, signature: signature, to: &output.buffer))
  }

  /// Queues a message of an extension, whether or not the remote speaks it: see ``remoteSupports(_:)``.
  ///
  /// - Throws: as ``send(_:on:)``, and if the extension is not one of the options.
  public func sendExtension(
    _ name: String, payload: [UInt8], on channel: ChannelID
  ) throws(ProtocolError) {
    let encoder = try encoder(for: channel)
    guard let place = extensions.place(of: name) else {
      throw ProtocolError(
        .extensionNotAnnounced, "The extension \(name) is not among those in the options")
    }
    var body: [UInt8] = []
    body.reserveCapacity(payload.count + 2)
    Varint.write(UInt64(place), to: &body)
    body.append(contentsOf: payload)
    let fits = output.buffer.addFrame(
      channel: encoder.channel, type: .extension, bodyCount: body.count
    ) { $0.update(from: body, count: body.count) }
    try sent(fits)
  }

  /// The number of bytes that wait to be taken.
  public var outputCount: Int { output.buffer.count }

  /// Returns everything there is to send, encrypted; empty if there is nothing.
  public func takeOutput() -> [UInt8] {
    if output.buffer.count == 0 { return [] }
    statistics.bytesSent += UInt64(output.buffer.count)
    return output.take()
  }

  // MARK: Parts

  /// Sends what follows the very first Feed.
  private func begin(
    with key: PublicKey, name: DiscoveryKey, _ encoder: MessageEncoder
  ) throws(ProtocolError) {
    firstFeed = (key, name)
    if options.isEncrypted { output.startEncrypting(with: key, nonce: options.nonce) }
    try sent(
      encoder.handshake(
        id: options.id, live: options.live, userData: options.userData,
        extensions: extensions.localNames.map { Array($0.utf8) }, ack: options.ack,
        to: &output.buffer))
    if case .waitingForKey(let nonce) = state {
      startDecrypting(with: key, nonce: nonce)
      timers.hasKey()
    }
  }

  private func checkOptions() throws(ProtocolError) {
    let names = extensions.localNames
    guard names.count <= WireLimits.extensions,
      names.allSatisfy({ $0.utf8.count <= WireLimits.extensionNameBytes })
    else {
      throw ProtocolError(
        .invalidOptions, "The options have more than 64 extensions, or one of more than 64 bytes")
    }
    guard options.userData?.count ?? 0 <= WireLimits.userDataBytes else {
      throw ProtocolError(.invalidOptions, "The options have more than 64 KiB of user data")
    }
    guard options.id.count <= WireLimits.peerIDBytes else {
      throw ProtocolError(.invalidOptions, "The options have an id of more than 256 bytes")
    }
  }

  private func encoder(for channel: ChannelID) throws(ProtocolError) -> MessageEncoder {
    if isClosed { throw .connectionClosed }
    guard channels.isOpen(channel) else { throw .channelClosed }
    return MessageEncoder(channel: channel.number)
  }

  private func sent(_ fits: Bool) throws(ProtocolError) {
    guard fits else { throw .frameTooLarge }
    statistics.framesSent += 1
    timers.sent()
  }
}

extension [UInt8]? {
  /// Calls `body` with the bytes in place, or with nil.
  fileprivate func withBytes<Result>(_ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
    guard let self else { return body(nil) }
    return self.withUnsafeBytes { body($0) }
  }
}
