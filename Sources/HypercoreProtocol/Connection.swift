public import HypercoreCrypto

/// One end of a replication stream: hypercore-protocol 6 without sockets, clocks or randomness.
///
/// Bytes, commands and instants go in; events, bytes and the next deadline come out. Its owner
///
/// 1. passes in received bytes, ``receive(_:now:)-(UnsafeRawBufferPointer,_)``, and then calls
///    ``nextEvent()`` until that is nil. Each call parses one frame, so a feed can be opened in response to
///    one event before the bytes after it are read;
/// 2. gives commands: ``open(_:)``, ``send(_:on:)`` and the like;
/// 3. after either, sends what ``takeOutput()`` returns, and
/// 4. calls ``tick(now:)`` at the ``deadline``, which any of these may have changed.
///
/// A peer's fault is thrown once, by the call that found it. After that the connection is closed, has no
/// events and no output, and ignores all input. Not `Sendable`: it belongs to its owner's isolation domain.
public final class Connection {
  /// The time that the caller passes in; the connection has no clock of its own.
  public typealias Instant = ContinuousClock.Instant

  /// The properties of one side, and its behaviour.
  public struct Options: Sendable {
    /// True if everything after the first Feed is encrypted with its key. Both ends must agree.
    public var isEncrypted = true
    /// This side's own name, 32 random bytes: new for each swarm, the same for its connections.
    public var id: [UInt8]
    /// 24 random bytes that were never used before with the same feed.
    public var nonce: Nonce
    /// True to stay connected after everything is exchanged. It is only announced.
    public var live = false
    /// Bytes for the remote application, at most 64 KiB.
    public var userData: [UInt8]?
    /// The extensions that are spoken here, at most 64; announced in sorted order.
    public var extensions: [String] = []
    /// True to ask for acknowledgements. It is only announced: version 6 of the reference ignores it.
    public var ack = false
    /// The time without output after which a keep-alive is sent. The remote may be silent for one and a half
    /// times as long. Nil turns off every timer.
    public var timeout: Duration? = .seconds(5)
    /// The time by which a keep-alive may be early: a tick sends one that is due within this time, so that
    /// many connections can share their ticks.
    package var keepAliveLead = Duration.zero
    /// The longest time until the remote's Handshake.
    public var handshakeTimeout: Duration = .seconds(5)
    /// The most feeds that either side may open, up to ``WireLimits/channels``.
    public var maximumChannels = WireLimits.channels

    /// Creates options with this id, 32 random bytes, and this nonce; the rest are the defaults.
    public init(id: [UInt8], nonce: Nonce) {
      self.id = id
      self.nonce = nonce
    }
  }

  /// An event that the remote caused.
  public enum Event: Hashable, Sendable {
    /// The remote opened a feed. To exchange messages about it, open it too; messages wait until then, within
    /// ``WireLimits``. The first feed of an encrypted connection must be opened for anything to follow.
    case feed(DiscoveryKey)
    /// The remote's Handshake; once.
    case handshake(Handshake)
    /// A message about a feed that is open here.
    case message(ChannelID, Message)
    /// A message of an extension that both sides speak.
    case `extension`(ChannelID, name: String, payload: [UInt8])
    /// The remote sends nothing more, after ``Connection/finishInput()``; this is the last event.
    case end
  }

  /// The amounts that went through a connection.
  public struct Statistics: Hashable, Sendable {
    /// Bytes received, including keep-alives and length prefixes.
    public internal(set) var bytesReceived: UInt64 = 0
    /// Bytes returned to be sent.
    public internal(set) var bytesSent: UInt64 = 0
    /// Frames parsed, keep-alives excluded.
    public internal(set) var framesReceived: UInt64 = 0
    /// Frames made, keep-alives excluded.
    public internal(set) var framesSent: UInt64 = 0
  }

  /// The state of the incoming side.
  enum State {
    /// Waits for the remote's first message, in clear.
    case waitingForFeed
    /// Waits for this side's first feed, whose key decrypts what follows.
    case waitingForKey(Nonce)
    /// Waits for any message.
    case open
    /// Receives nothing, ever again.
    case closed
  }

  /// The options that it was made with.
  public let options: Options
  /// The amounts that went through so far.
  @exclusivity(unchecked) public internal(set) var statistics = Statistics()
  // Properties that are used for every frame are `@exclusivity(unchecked)`: nothing calls out while it
  // changes such a property, and checking each access took an eighth of the time.
  @exclusivity(unchecked) var state = State.waitingForFeed
  @exclusivity(unchecked) var input = ConnectionInput()
  @exclusivity(unchecked) var output = ConnectionOutput()
  @exclusivity(unchecked) var channels = ChannelTable()
  @exclusivity(unchecked) var timers: ConnectionTimers
  @exclusivity(unchecked) var replay = ReplayQueue()
  var extensions: ExtensionTable
  /// This side's first feed: its key encrypts both directions.
  var firstFeed: (key: PublicKey, discoveryKey: DiscoveryKey)?
  var remote = Remote()
  let decoder = MessageDecoder()

  /// The other side's introduction.
  struct Remote {
    var handshake: Handshake?
    var nonce: Nonce?
    var firstFeed: DiscoveryKey?
  }

  /// Creates a connection. It sends nothing before the first ``open(_:)``.
  public init(options: Options, now: Instant) {
    self.options = options
    extensions = ExtensionTable(options.extensions)
    timers = ConnectionTimers(
      timeout: options.timeout, keepAliveLead: options.keepAliveLead,
      handshakeTimeout: options.handshakeTimeout, now: now)
  }

  // MARK: State

  /// The remote's Handshake, once it has arrived.
  public var remoteHandshake: Handshake? { remote.handshake }

  /// The nonce from which the remote's encryption starts, once it has arrived. Every connection has a new
  /// one: a nonce that was seen before belongs to a replayed recording.
  public var remoteNonce: Nonce? { remote.nonce }

  /// The discovery key of the remote's first feed, once it is known.
  public var remoteFirstFeed: DiscoveryKey? { remote.firstFeed }

  /// The most feeds that either side may open.
  package var maximumChannels: Int { min(max(options.maximumChannels, 1), WireLimits.channels) }

  /// True if it was closed, by a fault or by ``close()``.
  public var isClosed: Bool {
    if case .closed = state { true } else { false }
  }

  /// The number of received bytes that are not events yet: after ``nextEvent()`` has returned nil, those of
  /// an incomplete frame.
  public var unparsedCount: Int { input.buffer.count }

  /// True if the remote's first feed is known and this side has not opened it: bytes are kept and not read.
  /// The owner should stop reading from the transport, as only ``WireLimits/parkedBytes`` are kept.
  public var isWaitingForKey: Bool {
    if case .waitingForKey = state { true } else { false }
  }

  /// The channel of a feed that was opened here.
  public func channel(of discoveryKey: DiscoveryKey) -> ChannelID? {
    channels.localID(of: discoveryKey)
  }

  /// Returns whether the channel is open here.
  public func isOpen(_ channel: ChannelID) -> Bool { !isClosed && channels.isOpen(channel) }

  /// Returns whether the remote has opened the channel's feed as well.
  public func isOpenRemotely(_ channel: ChannelID) -> Bool { channels.isOpenRemotely(channel) }

  /// Returns whether the remote announced an extension of this name, which is one of those in the options.
  public func remoteSupports(_ name: String) -> Bool { extensions.remoteSupports(name) }

  // MARK: Time and ends

  /// The time at which to call ``tick(now:)``; nil if there is nothing to wait for.
  public var deadline: Instant? { isClosed ? nil : timers.deadline }

  /// Does what is due: sends a keep-alive, or gives the remote up. An early call does nothing. After a stall
  /// of this process, first pass in what has arrived meanwhile: it was not the remote that was silent.
  ///
  /// - Returns: true if it sent a keep-alive: for a whole timeout nothing else was sent.
  /// - Throws: ``ProtocolError`` if the remote took too long; the connection is closed then.
  @discardableResult
  public func tick(now: Instant) throws(ProtocolError) -> Bool {
    if isClosed { return false }
    switch timers.tick(now) {
    case .none: return false
    case .sendKeepAlive:
      output.buffer.addKeepAlive()
      timers.sent()
      shed()
      return true
    case .close(let error): throw fail(error)
    }
  }

  /// The memory that is kept for what may arrive, in bytes.
  package var keptBytes: Int { input.buffer.capacity + decoder.keptBytes }

  /// Frees what is kept for the next message, since nothing was sent for seconds: a host has thousands of connections on
  /// which nothing happens.
  private func shed() {
    input.shed()
    decoder.shed()
  }

  /// Receives the end of the remote's output. Events from before still follow, then ``Event/end``; an
  /// incomplete frame is dropped. Timers stop.
  public func finishInput() {
    input.finish()
    timers.stop()
  }

  /// Closes the connection at once and drops what is queued in both directions. To end it in order, send
  /// everything that ``takeOutput()`` returns, then end the transport.
  public func close() {
    state = .closed
    input.removeAll()
    output.removeAll()
    replay.removeAll()
  }

  /// Closes the connection because of `error`, which the caller throws.
  func fail(_ error: ProtocolError) -> ProtocolError {
    close()
    return error
  }
}

@available(*, unavailable)
extension Connection: Sendable {}
