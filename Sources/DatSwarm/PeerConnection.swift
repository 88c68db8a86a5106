/// One connection to one peer, whatever its transport: what a ``Swarm`` needs to serve it.
///
/// ``PeerSocket`` is one over TCP; a ``PeerTransport`` provides others.
public protocol PeerConnection: Sendable {
  /// The address of the other end, by which the caps on connections count: a numeric address, or for a peer
  /// behind a relay a name that stands for it.
  var remoteAddress: PeerAddress { get }

  /// True if the other side opened it.
  var isInbound: Bool { get }

  /// Notes that the peer has completed its handshake.
  func confirm()

  /// Aborts the connection. A running ``pump(_:)`` then throws.
  func close()

  /// Carries a stream's bytes both ways until both ends have finished or the task is cancelled.
  ///
  /// - Throws: the stream's error, or the reason why the connection failed. In every case both are closed
  ///   afterwards.
  func pump(_ stream: some PeerStream) async throws

  /// Called when the connection has ended because another one leads to the same peer. Its transport makes no
  /// new one to that peer before ``takeUp()``. By default does nothing.
  func setAside()

  /// Called when the other connection has ended as well. By default does nothing.
  func takeUp()
}

extension PeerConnection {
  /// Does nothing: for transports that make no connection by themselves.
  public func setAside() {}
  /// Does nothing: for transports that make no connection by themselves.
  public func takeUp() {}
}

extension PeerSocket: PeerConnection {}
