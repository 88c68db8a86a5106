/// One connection to one peer, whatever carries it: what a ``Swarm`` needs to serve it.
///
/// ``PeerSocket`` is one over TCP; a ``PeerTransport`` brings others.
public protocol PeerConnection: Sendable {
  /// The other end as the caps on connections count it: its numeric address, or for a peer behind a relay
  /// a name that stands for it.
  var remoteAddress: PeerAddress { get }

  /// True if the other side opened it.
  var isInbound: Bool { get }

  /// The peer has completed its handshake.
  func confirm()

  /// Breaks the connection off, whatever is under way. ``pump(_:)`` then throws.
  func close()

  /// Carries a stream's bytes both ways until both ends have said all, or the task is cancelled.
  ///
  /// - Throws: what the stream threw, or why the connection failed. In every case both are closed
  ///   afterwards.
  func pump(_ stream: some PeerStream) async throws

  /// The connection is over because another one leads to the same peer. Its transport makes no new one to
  /// that peer before ``takeUp()``. By default nothing.
  func setAside()

  /// The other connection is over as well. By default nothing.
  func takeUp()
}

extension PeerConnection {
  /// Does nothing: for transports that make no connection by themselves.
  public func setAside() {}
  /// Does nothing: for transports that make no connection by themselves.
  public func takeUp() {}
}

extension PeerSocket: PeerConnection {}
