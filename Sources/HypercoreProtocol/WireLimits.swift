/// The limits on everything that a peer can make grow on one connection.
///
/// Limits without another source are this project's own; a peer that behaves like the reference
/// never reaches them.
public enum WireLimits {
  /// The longest frame, without its length prefix: 8 MiB. Source: hypercore-protocol `index.js`,
  /// `_parseLength`.
  public static let frameBytes = 8_388_608

  /// The longest frame before the remote's Handshake: a Handshake at its own limits fits, and no
  /// stranger gets to fill 8 MiB.
  public static let frameBytesBeforeHandshake = 131_072

  /// The most bytes a frame's length prefix may take. Source: the reference's 4-byte `_length`.
  public static let lengthPrefixBytes = 4

  /// The most encrypted bytes that are kept while the key is not known.
  public static let parkedBytes = 65_536

  /// The most received bytes that may wait to be parsed: two complete frames, so only an owner that
  /// doesn't read events reaches it.
  public static let unparsedBytes = 2 * frameBytes

  /// The most feeds that either side may ever open. Source: the reference's `maxFeeds`.
  public static let channels = 256

  /// The most messages that wait on a channel that is not open here. Source: hypercore-protocol
  /// `feed.js`, which destroys the stream on the 18th.
  public static let queuedMessages = 17

  /// The most bytes of messages that wait on a channel that is not open here.
  public static let queuedBytes = 65_536

  /// The most bytes of messages that wait on all such channels together.
  public static let queuedBytesInAll = 1_048_576

  /// The most extension names that a Handshake may announce.
  public static let extensions = 64

  /// The longest name of an extension, in UTF-8 bytes.
  public static let extensionNameBytes = 64

  /// The most bytes of user data that a Handshake may carry.
  public static let userDataBytes = 65_536

  /// The longest peer id in bytes. The reference's own are 32 bytes, but it takes any.
  public static let peerIDBytes = 256

  /// The most nodes that one Data message may carry. A proof in a tree of 2^53 bytes needs at most
  /// 106.
  public static let nodes = 256

  /// The most fields that one message may have, including those inside its nodes.
  public static let fields = 2_048

  /// The longest time from a frame's first byte to its last.
  public static let frameDuration = Duration.seconds(60)
}
