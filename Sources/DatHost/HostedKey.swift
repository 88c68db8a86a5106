internal import DatCoding
public import HypercoreCrypto

/// The kind of data behind a key.
public enum HostedKind: String, Hashable, Sendable, Codable, CaseIterable {
  /// A chat room: the host writes in it as one user among others.
  case room
  /// A hyperdb that the host only reads.
  case database = "db"
  /// One feed.
  case feed
  /// An archive, whose newest version's files are kept.
  case archive
  /// Not known yet: it shows in the first block from a peer and in the keys of the entries.
  case unknown = "any"
}

/// A hosted key, as users write it: `KEY`, `room:KEY`, `db:KEY`, `feed:KEY` or `archive:KEY`.
public struct HostedKey: Hashable, Sendable, CustomStringConvertible {
  /// The kind of data behind the key, as far as it is known.
  public var kind: HostedKind
  /// The key of the feed, or of the first feed of the room or database.
  public var key: PublicKey

  /// Makes a hosted key of a kind.
  public init(kind: HostedKind = .unknown, key: PublicKey) {
    self.kind = kind
    self.key = key
  }

  /// Reads 64 hex digits, optionally with `dat://` before them, and the kind before that.
  ///
  /// - Throws: ``HostError`` with `malformedKey`.
  public init(parsing text: String) throws(HostError) {
    var rest = ForeignText(text)
    var kind = HostedKind.unknown
    for known in HostedKind.allCases {
      let prefix = ForeignText(known.rawValue + ":")
      guard rest.starts(with: prefix) else { continue }
      kind = known
      rest = rest.dropFirst(bytes: prefix.utf8.count)
      break
    }
    if rest.starts(with: "dat://") { rest = rest.dropFirst(bytes: 6) }
    if rest.utf8.last == UInt8(ascii: "/") { rest = rest.cut(toBytes: rest.utf8.count - 1) }
    guard let key = PublicKey(hex: rest.string) else {
      throw HostError(
        .malformedKey,
        "\"\(ForeignText(text).line(limit: 80))\" is no key: write 64 hex digits, after room:, db:, feed: or archive: where "
          + "the kind is known.")
    }
    self.init(kind: kind, key: key)
  }

  /// The form that `init(parsing:)` reads.
  public var description: String { "\(kind.rawValue):\(key.hex)" }
}

/// The error of a host. Programs read ``code``; people read ``reason``.
public struct HostError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// Text that is not a key. Nothing was changed.
    case malformedKey
    /// The key is not hosted here.
    case unknownKey
    /// The folder's list of keys, or a fleet's list of hosts, can't be read.
    case malformedFile
    /// The folder can't be used: another host runs in it, or the system refuses.
    case folder
    /// The control socket can't be used, or no host answers there.
    case control
    /// The host, or this replica of it, is closing or changing.
    case closed
  }

  /// The kind of failure, for programs.
  public let code: Code
  /// A sentence for people.
  public let reason: String

  /// Makes an error of a kind, with its sentence.
  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  /// The reason.
  public var description: String { reason }
}
