/// Everything a peer could make grow on one connection, and how far.
///
/// What has no other source is this project's own bound; a peer that keeps to the reference's
/// behaviour never meets it.
public enum WireLimits {
  /// The longest frame, without its length prefix: 8 MiB. Source: hypercore-protocol `index.js`,
  /// `_parseLength`.
  public static let frameBytes = 8_388_608

  /// The longest frame before the remote's Handshake: that message at its own limits fits, and no
  /// stranger gets to fill 8 MiB.
  public static let frameBytesBeforeHandshake = 131_072

  /// The most bytes a frame's length prefix may take. Source: the reference's 4-byte `_length`.
  public static let lengthPrefixBytes = 4

  /// How many encrypted bytes are kept while the key is not known.
  public static let parkedBytes = 65_536

  /// How many received bytes may wait to be parsed: two whole frames, so only an owner that doesn't
  /// ask for events meets it.
  public static let unparsedBytes = 2 * frameBytes

  /// How many feeds either side may ever open. Source: the reference's `maxFeeds`.
  public static let channels = 256

  /// How many messages wait on a channel that is not open here. Source: hypercore-protocol
  /// `feed.js`, which destroys on the 18th.
  public static let queuedMessages = 17

  /// How many bytes of messages wait on a channel that is not open here.
  public static let queuedBytes = 65_536

  /// How many bytes of messages wait on all such channels together.
  public static let queuedBytesInAll = 1_048_576

  /// How many extension names a Handshake may announce.
  public static let extensions = 64

  /// How long an extension's name may be, in UTF-8 bytes.
  public static let extensionNameBytes = 64

  /// How many bytes of user data a Handshake may carry.
  public static let userDataBytes = 65_536

  /// How long a peer id may be. The reference's own are 32 bytes, but it takes any.
  public static let peerIDBytes = 256

  /// How many nodes one Data message may carry. A proof in a tree of 2^53 bytes needs at most 106.
  public static let nodes = 256

  /// How many fields one message may have, those inside its nodes included.
  public static let fields = 2_048

  /// How long one frame may take from its first byte to its last.
  public static let frameDuration = Duration.seconds(60)
}
