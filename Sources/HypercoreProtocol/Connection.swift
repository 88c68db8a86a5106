public import HypercoreCrypto

/// One end of a replication stream: hypercore-protocol 6 without sockets, clocks or randomness.
///
/// Bytes, commands and instants go in; events, bytes and the next deadline come out. Its owner
///
/// 1. hands in what arrived, ``receive(_:now:)-(UnsafeRawBufferPointer,_)``, and then asks for
///    ``nextEvent()`` until that is nil. One frame is parsed a call, so a feed can be opened in answer
///    to one event before the bytes behind it are read;
/// 2. gives commands: ``open(_:)``, ``send(_:on:)`` and the like;
/// 3. after either, sends what ``takeOutput()`` hands out, and
/// 4. calls ``tick(now:)`` when ``deadline`` has come, which any of these may have moved.
///
/// A peer's fault is thrown once by the call that met it; after that the connection is closed, has no
/// events and no output, and ignores what it is given. Not `Sendable`: it belongs to its owner's
/// isolation.
public final class Connection {
  /// Time as the caller tells it; the connection has no clock of its own.
  public typealias Instant = ContinuousClock.Instant

  /// What a side says about itself, and how it behaves.
  public struct Options: Sendable {
    /// Whether everything after the first Feed is encrypted with its key. Both ends must agree.
    public var isEncrypted = true
    /// This side's name for itself, 32 random bytes: new for each swarm, the same for its connections.
    public var id: [UInt8]
    /// 24 random bytes, never used before with the same feed.
    public var nonce: Nonce
    /// Whether to go on after everything is exchanged. Only announced.
    public var live = false
    /// Bytes for the remote application, at most 64 KiB.
    public var userData: [UInt8]?
    /// The extensions spoken here, at most 64; announced in sorted order.
    public var extensions: [String] = []
    /// Whether to ask for acknowledgements. Only announced: version 6 of the reference ignores it.
    public var ack = false
    /// After how long of sending nothing to send a keep-alive; one and a half times that is how long
    /// the remote may be silent. Nil turns off every timer.
    public var timeout: Duration? = .seconds(5)
    /// How long the remote may take until its Handshake.
    public var handshakeTimeout: Duration = .seconds(5)
    /// How many feeds either side may open, up to ``WireLimits/channels``.
    public var maximumChannels = WireLimits.channels

    /// Options with this id, 32 random bytes, and this nonce; the rest are the defaults.
    public init(id: [UInt8], nonce: Nonce) {
      self.id = id
      self.nonce = nonce
    }
  }

  /// What came from the remote.
  public enum Event: Hashable, Sendable {
    /// The remote opened a feed. To speak about it, open it too; messages wait until then, within
    /// ``WireLimits``. The first one of an encrypted connection must be opened for anything to follow.
    case feed(DiscoveryKey)
    /// The remote said about itself what there is; once.
    case handshake(Handshake)
    /// A message about a feed that is open here.
    case message(ChannelID, Message)
    /// A message of an extension that both sides speak.
    case `extension`(ChannelID, name: String, payload: [UInt8])
    /// The remote sends nothing more, after ``Connection/finishInput()``; the last event.
    case end
  }

  /// How much went through.
  public struct Statistics: Hashable, Sendable {
    /// Bytes received, keep-alives and length prefixes included.
    public internal(set) var bytesReceived: UInt64 = 0
    /// Bytes handed out to be sent.
    public internal(set) var bytesSent: UInt64 = 0
    /// Frames parsed, keep-alives excluded.
    public internal(set) var framesReceived: UInt64 = 0
    /// Frames made, keep-alives excluded.
    public internal(set) var framesSent: UInt64 = 0
  }

  /// What the incoming side waits for.
  enum State {
    /// The remote's first message, in clear.
    case waitingForFeed
    /// This side's first feed, whose key decrypts what follows.
    case waitingForKey(Nonce)
    /// Any message.
    case open
    /// Nothing, ever again.
    case closed
  }

  /// What it was made with.
  public let options: Options
  /// How much went through so far.
  @exclusivity(unchecked) public internal(set) var statistics = Statistics()
  /// What the remote said about itself, once it has.
  public internal(set) var remoteHandshake: Handshake? {
    didSet { frameLimit = WireLimits.frameBytes }
  }
  /// What the remote's encryption starts from, once it has said so. Every connection has a new one:
  /// one that was seen before is a recording played again.
  public internal(set) var remoteNonce: Nonce?
  /// The name of the remote's first feed, once it is known.
  public internal(set) var remoteFirstFeed: DiscoveryKey?

  // What is reached for every frame is `@exclusivity(unchecked)`: nothing calls out while it changes
  // such a property, and checking each access took an eighth of the time.
  @exclusivity(unchecked) var state = State.waitingForFeed
  @exclusivity(unchecked) var input = ReceiveBuffer()
  @exclusivity(unchecked) var output = OutputBuffer()
  /// The longest frame that is taken.
  @exclusivity(unchecked) var frameLimit = WireLimits.frameBytesBeforeHandshake
  /// How many bytes at the start of the output go out in clear: the first Feed.
  @exclusivity(unchecked) var clearOutputCount = 0
  @exclusivity(unchecked) var incomingCipher: StreamCipher?
  @exclusivity(unchecked) var outgoingCipher: StreamCipher?
  /// This side's first feed: its key encrypts both directions.
  var firstKey: PublicKey?
  var firstFeed: DiscoveryKey?
  @exclusivity(unchecked) var channels = ChannelTable()
  var extensions: ExtensionTable
  @exclusivity(unchecked) var timers: ConnectionTimers
  /// Messages that had waited for their channel, to be handed out before anything newer.
  @exclusivity(unchecked) var replay: [Event] = []
  @exclusivity(unchecked) var replayPlace = 0
  var inputEnded = false
  var endWasReported = false
  let decoder = MessageDecoder()
  package let maximumChannels: Int

  /// A connection that has just been made. It sends nothing before the first ``open(_:)``.
  public init(options: Options, now: Instant) {
    self.options = options
    extensions = ExtensionTable(options.extensions)
    timers = ConnectionTimers(
      timeout: options.timeout, handshakeTimeout: options.handshakeTimeout, now: now)
    maximumChannels = min(max(options.maximumChannels, 1), WireLimits.channels)
  }

  // MARK: State

  /// Whether it was closed, by a fault or by ``close()``.
  public var isClosed: Bool {
    if case .closed = state { true } else { false }
  }

  /// How many bytes are here that were not made into events: after ``nextEvent()`` has said nil, those
  /// of a frame whose end is missing.
  public var unparsedCount: Int { input.count }

  /// Whether the remote's first feed is known and this side has not opened it: bytes are kept and
  /// not read. The owner should stop reading from the transport, for only
  /// ``WireLimits/parkedBytes`` are kept.
  public var isWaitingForKey: Bool {
    if case .waitingForKey = state { true } else { false }
  }

  /// The channel of a feed that was opened here.
  public func channel(of discoveryKey: DiscoveryKey) -> ChannelID? {
    channels.localID(of: discoveryKey)
  }

  /// Whether the channel is open here.
  public func isOpen(_ channel: ChannelID) -> Bool { !isClosed && channels.isOpen(channel) }

  /// Whether the remote, too, has opened the channel's feed.
  public func isOpenRemotely(_ channel: ChannelID) -> Bool { channels.isOpenRemotely(channel) }

  /// Whether the remote announced an extension of this name, one of those in the options.
  public func remoteSupports(_ name: String) -> Bool { extensions.remoteSupports(name) }

  // MARK: Time and ends

  /// When to call ``tick(now:)``; nil when there is nothing to wait for.
  public var deadline: Instant? { isClosed ? nil : timers.deadline }

  /// Does what is due: a keep-alive, or giving the remote up. Calling it early does nothing. After a
  /// stall of this process hand in first what has arrived meanwhile: it was not the remote that was
  /// silent.
  ///
  /// - Throws: ``ProtocolError`` when the remote took too long; the connection is closed then.
  public func tick(now: Instant) throws(ProtocolError) {
    if isClosed { return }
    switch timers.tick(now) {
    case .none: break
    case .sendKeepAlive:
      output.addKeepAlive()
      timers.sent()
    case .close(let error): throw fail(error)
    }
  }

  /// The remote has ended its direction. What came before is still handed out, then
  /// ``Event/end``; a frame cut short is dropped. Timers stop.
  public func finishInput() {
    inputEnded = true
    timers.stop()
  }

  /// Closes the connection at once: what is queued is dropped, in both directions. To end it in order
  /// send everything that ``takeOutput()`` gives, then end the transport.
  public func close() {
    state = .closed
    input.removeAll()
    output.removeAll()
    clearOutputCount = 0
    replay = []
    replayPlace = 0
    timers.stop()
  }

  /// Closes because of `error`, which the caller throws.
  func fail(_ error: ProtocolError) -> ProtocolError {
    close()
    return error
  }
}

@available(*, unavailable)
extension Connection: Sendable {}
