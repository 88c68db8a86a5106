package import HypercoreCrypto
package import HypercoreProtocol

/// The functions by which a session notifies its owner.
package struct SessionHooks {
  /// Called when the remote opens a feed; the owner may answer with
  /// ``ReplicationSession/open(_:download:upload:)``.
  package var onFeed: ((DiscoveryKey) throws -> Void)?
  package var onHandshake: ((Handshake) -> Void)?
  package var onExtension: ((ChannelID, String, [UInt8]) -> Void)?
  /// Called when every expected feed has ended; returns whether to end the connection. It may raise
  /// ``ReplicationSession/expectedFeeds`` and return false.
  package var onFinish: (() throws -> Bool)?
  /// Called once, with the reason if it was not a proper end.
  package var onClose: (((any Error)?) -> Void)?
  /// Called with each keep-alive: nothing else was sent for a whole timeout.
  package var onQuiet: (() -> Void)?
  /// Called when there is output to take, or the end of it: once until
  /// ``ReplicationSession/takeOutput(now:)``.
  package var onOutput: (() -> Void)?
}
