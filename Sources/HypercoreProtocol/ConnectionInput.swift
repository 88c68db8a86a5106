internal import HypercoreCrypto

/// The receiving half of a connection: bytes that are decrypted as they come, and cut into frames.
struct ConnectionInput {
  private(set) var buffer = ReceiveBuffer()
  private var cipher: StreamCipher?
  /// The most bytes of a frame.
  private var frameLimit = WireLimits.frameBytesBeforeHandshake
  /// True if the remote sends nothing more.
  private(set) var hasEnded = false
  private var endWasReported = false

  // MARK: Bytes

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    buffer.append(bytes, decrypting: &cipher)
  }

  /// Decrypts everything from here on, including bytes that have arrived already.
  mutating func startDecrypting(with key: PublicKey, nonce: Nonce) {
    cipher = StreamCipher(key: key, nonce: nonce)
    buffer.decryptRest(with: &cipher)
  }

  mutating func removeAll() { buffer.removeAll() }

  // MARK: Frames

  /// Removes one frame from the front.
  mutating func nextFrame() -> ReceiveBuffer.Frame { buffer.nextFrame(limit: frameLimit) }

  /// Releases the memory of a frame that was used.
  mutating func giveBack(_ payload: ReceiveBuffer.Payload) { buffer.giveBack(payload) }

  /// Releases memory that is not needed for what is here.
  mutating func trim() { buffer.trim() }

  /// Releases the memory that is kept for what may come.
  mutating func shed() { buffer.shed() }

  /// Allows frames of the protocol's size, as the Handshake has arrived.
  mutating func allowLargeFrames() { frameLimit = WireLimits.frameBytes }

  /// The error for a frame beyond the limit. Before the Handshake, it has the reference's text if the protocol's limit
  /// is exceeded as well.
  func sizeError() -> ProtocolError {
    if frameLimit == WireLimits.frameBytes { return .remoteFrameTooLarge }
    var copy = buffer
    if case .tooLarge = copy.nextFrame(limit: WireLimits.frameBytes) { return .remoteFrameTooLarge }
    return .earlyFrameTooLarge
  }

  // MARK: The end

  mutating func finish() { hasEnded = true }

  /// Drops an incomplete frame at the end.
  ///
  /// - Returns: false if the end was reported before.
  mutating func reportEnd() -> Bool {
    assert(hasEnded)
    buffer.removeAll()
    defer { endWasReported = true }
    return !endWasReported
  }
}
