internal import DatCoding
public import HypercoreCrypto

extension Connection {
  /// Receives bytes from the remote, cut anywhere. They are copied, decrypted and kept until
  /// ``nextEvent()`` parses them.
  ///
  /// - Throws: ``ProtocolError`` if more is waiting than ``WireLimits`` allow.
  public func receive(_ bytes: UnsafeRawBufferPointer, now: Instant) throws(ProtocolError) {
    if isClosed { return }
    timers.received(now)
    statistics.bytesReceived += UInt64(bytes.count)
    let waiting = input.buffer.count + bytes.count
    if isWaitingForKey, waiting > WireLimits.parkedBytes { throw fail(.tooManyParkedBytes) }
    if waiting > WireLimits.unparsedBytes { throw fail(.tooManyUnparsedBytes) }
    input.append(bytes)
  }

  /// Receives bytes from the remote, cut anywhere.
  ///
  /// - Throws: ``ProtocolError`` if more is waiting than ``WireLimits`` allow.
  public func receive(_ bytes: [UInt8], now: Instant) throws(ProtocolError) {
    let failure = bytes.withUnsafeBytes { buffer -> ProtocolError? in
      do throws(ProtocolError) {
        try receive(buffer, now: now)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// Parses up to the next event.
  ///
  /// - Returns: nil if that needs more bytes, or a key that is not known here.
  /// - Throws: ``ProtocolError`` if the remote broke a rule; the connection is closed then.
  public func nextEvent() throws(ProtocolError) -> Event? {
    if !replay.isEmpty, let event = nextReplayed() { return event }
    while true {
      switch state {
      case .closed, .waitingForKey: return nil
      case .waitingForFeed, .open: break
      }
      switch input.nextFrame() {
      case .incomplete:
        if input.hasEnded { return input.reportEnd() ? .end : nil }
        if input.buffer.count > 0 {
          timers.frameBegan()
          try refuseUnfinished()
        } else {
          // A padded keep-alive may have been cut in the middle.
          timers.frameCompleted()
          input.trim()
        }
        return nil
      case .tooLarge: throw fail(input.sizeError())
      case .payload(let payload):
        timers.frameCompleted()
        statistics.framesReceived += 1
        let event = try handle(payload)
        input.giveBack(payload)
        if let event { return event }
      }
    }
  }

  /// Returns the discovery key of the feed with which a stream starts, from its first bytes, which are not encrypted.
  /// By it a listener chooses the owner of the connection.
  ///
  /// - Parameter bytes: everything received so far.
  /// - Returns: nil if that needs more bytes; 62 are enough from the reference.
  /// - Throws: ``ProtocolError`` if no stream starts with these bytes.
  public static func peek(_ bytes: [UInt8]) throws(ProtocolError) -> DiscoveryKey? {
    var buffer = ReceiveBuffer()
    var cipher: StreamCipher?
    bytes.withUnsafeBytes { buffer.append($0, decrypting: &cipher) }
    while true {
      switch buffer.nextFrame(limit: WireLimits.frameBytesBeforeHandshake) {
      case .incomplete: return nil
      case .tooLarge: throw .earlyFrameTooLarge
      case .payload(let payload):
        guard payload.count >= 2 else { continue }
        guard let header = Header(in: buffer, payload), header.type == MessageType.feed.rawValue,
          let feed = buffer.withBytes(header.body, MessageDecoder().feed)
        else { throw .invalidFeed }
        return feed.discoveryKey
      }
    }
  }

  /// The next message that was queued for its channel and whose channel is still open.
  private func nextReplayed() -> Event? {
    while let (channel, message) = replay.popFirst() {
      if channels.isOpen(channel) { return .message(channel, message) }
    }
    return nil
  }

  /// Refuses a large frame by its first bytes if nothing would use it, rather than buffering all of
  /// it.
  private func refuseUnfinished() throws(ProtocolError) {
    guard case .open = state, let frame = input.buffer.unfinishedFrame(),
      frame.length > WireLimits.queuedBytes,
      let header = Header(in: input.buffer, frame.start..<frame.start + frame.length)
    else { return }
    guard header.channel < UInt64(maximumChannels) else {
      throw fail(.tooManyFeeds(maximumChannels))
    }
    guard let channel = channels.remoteChannel(Int(header.channel)) else {
      throw fail(.invalidFeed)
    }
    if isQueued(MessageType(rawValue: header.type), on: channel) { throw fail(.tooManyMessages) }
  }

  /// Returns whether a message would have to wait until its channel is opened here.
  private func isQueued(_ type: MessageType?, on channel: ChannelTable.Channel) -> Bool {
    switch type {
    case nil, .feed, .handshake, .extension: false
    default: channel.localID == nil
    }
  }

  // MARK: One frame

  private func handle(_ payload: ReceiveBuffer.Payload) throws(ProtocolError) -> Event? {
    // As in the reference: a message without fields on a low channel is ignored.
    guard payload.count >= 2 else { return nil }
    guard let header = Header(in: input.buffer, payload) else { throw fail(.invalidHeader) }
    guard header.channel < UInt64(maximumChannels) else {
      throw fail(.tooManyFeeds(maximumChannels))
    }
    let number = Int(header.channel)
    let type = MessageType(rawValue: header.type)
    if type == .feed { return try handleFeed(header.body, on: number) }
    if let type, type.isAboutFeed, let channel = channels.openChannel(number) {
      return .message(channel, try decode(type, header.body, on: number))
    }
    guard let channel = channels.remoteChannel(number) else { throw fail(.invalidFeed) }
    switch type {
    case nil: return nil
    case .handshake: return try handleHandshake(header.body, on: number)
    case .extension: return try handleExtension(header.body, on: channel)
    case .some(let type):
      if channel.isClosedLocally { return nil }
      // It is not open here, so the message would be queued. A large one is refused before it is decoded.
      if payload.count > WireLimits.queuedBytes { throw fail(.tooManyMessages) }
      let message = try decode(type, header.body, on: number)
      switch channels.deliver(message, on: number, byteCount: payload.count) {
      case .deliver(let id): return .message(id, message)
      case .queued, .drop: return nil
      case .tooMany: throw fail(.tooManyMessages)
      }
    }
  }

  private func decode(
    _ type: MessageType, _ body: Range<Int>, on number: Int
  ) throws(ProtocolError) -> Message {
    guard let message = input.buffer.withBytes(body, { decoder.message(type, $0) }) else {
      throw fail(.invalidMessage(type, on: number))
    }
    return message
  }

  private func handleFeed(_ body: Range<Int>, on number: Int) throws(ProtocolError) -> Event {
    guard let feed = input.buffer.withBytes(body, decoder.feed),
      channels.openRemotely(feed.discoveryKey, number: number)
    else { throw fail(.invalidFeed) }
    if case .waitingForFeed = state { try handleFirstFeed(feed) }
    return .feed(feed.discoveryKey)
  }

  private func handleFirstFeed(_ feed: MessageDecoder.Feed) throws(ProtocolError) {
    remote.firstFeed = feed.discoveryKey
    guard options.isEncrypted else {
      state = .open
      return
    }
    guard let nonce = feed.nonce else { throw fail(.nonceMissing) }
    remote.nonce = nonce
    guard let firstFeed else {
      state = .waitingForKey(nonce)
      timers.waitsForKey()
      return
    }
    guard firstFeed.discoveryKey == feed.discoveryKey else { throw fail(.firstFeedMismatch) }
    startDecrypting(with: firstFeed.key, nonce: nonce)
  }

  /// Decrypts everything from here on, including bytes that have arrived already.
  func startDecrypting(with key: PublicKey, nonce: Nonce) {
    input.startDecrypting(with: key, nonce: nonce)
    state = .open
  }

  private func handleHandshake(
    _ body: Range<Int>, on number: Int
  ) throws(ProtocolError) -> Event? {
    // Only the first one counts.
    if remoteHandshake != nil { return nil }
    guard let raw = input.buffer.withBytes(body, decoder.handshake) else {
      throw fail(.invalidMessage(.handshake, on: number))
    }
    extensions.setRemote(raw.extensionNames)
    remote.handshake = raw.handshake
    input.allowLargeFrames()
    timers.handshakeArrived()
    return .handshake(raw.handshake)
  }

  private func handleExtension(
    _ body: Range<Int>, on channel: ChannelTable.Channel
  ) throws(ProtocolError) -> Event? {
    if body.isEmpty { return nil }
    guard case .value(let place, let length) = input.buffer.withBytes(body, { Varint.read($0) })
    else {
      throw fail(.invalidExtension)
    }
    switch extensions.lookup(place) {
    case .outOfRange: throw fail(.invalidExtension)
    case .notShared: return nil
    case .name(let name):
      // An extension message doesn't wait: if the channel is not open it is dropped.
      guard let id = channel.localID, !channel.isClosedLocally else { return nil }
      let payload = input.buffer.withBytes(body.dropFirst(length)) { Array($0) }
      return .extension(id, name: name, payload: payload)
    }
  }
}

/// The start of a payload: `channel << 4 | type`, and the range of the body.
private struct Header {
  let channel: UInt64
  let type: UInt8
  let body: Range<Int>

  /// Nil if the start is not a varint, or runs past the frame.
  init?(in buffer: ReceiveBuffer, _ payload: ReceiveBuffer.Payload) {
    // The end of an incomplete frame is not there.
    let here = payload.clamped(to: buffer.places)
    guard case .value(let value, let length) = buffer.withBytes(here, { Varint.read($0) })
    else { return nil }
    channel = value >> 4
    type = UInt8(value & 15)
    body = payload.lowerBound + length..<payload.upperBound
  }
}
