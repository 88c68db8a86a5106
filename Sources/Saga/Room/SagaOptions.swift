internal import Foundation
public import HyperDB
public import Hypercore
public import HypercoreCrypto

extension Saga {
  /// The options of a room.
  public struct Options: Sendable {
    /// The kind of its entries.
    public var kind = RoomKind.messages
    /// The options of its database. The cache is small, since a room is read in order and written at its end.
    public var database: HyperDB.Options = {
      var options = HyperDB.Options()
      options.cacheBytes = 4 * 1024 * 1024
      options.disk = Saga.Options.disk
      return options
    }()
    /// The disk space that a room may take: 256 MiB a writer, which is some 600,000 short messages, and
    /// 4 GiB in all, so that sixteen writers have to collude to fill it.
    public static let disk = DiskLimits(perWriter: 256 << 20, inAll: 4 << 30)
    /// The rule by which newcomers may write.
    public var authorization = AuthorizationPolicy.open
    /// The limits of that rule.
    public var limits = AuthorizationLimits()
    /// False for a program that only keeps the room available: ``Saga/messages`` stays empty, and no event is
    /// about messages. They are stored and passed on all the same.
    public var keepsMessages = true
    /// True if opening waits until every stored message is in the room. Otherwise a room without an index opens
    /// at once and fills: ``SagaEvent/loading(done:of:)`` reports the progress.
    public var waitsForMessages = true
    /// True if an index is kept in the room's folder, in a file `room-index`, with which the room opens without
    /// a look at every message: 32 bytes a message. It is rebuilt if it doesn't fit.
    public var keepsIndexFile = true
    /// The feeds whose messages are not to be shown here, from an earlier run.
    public var muted: Set<PublicKey> = []
    /// Returns the time, in milliseconds since 1970.
    public var now: @Sendable () -> Int64 = {
      Int64((Date().timeIntervalSince1970 * 1000).rounded())
    }
    /// Makes the ids of new messages, to replay recorded ones; nil for random ones.
    package var makeID: (@Sendable () -> String)?

    /// The defaults.
    public init() {}

    /// False in a sparse database: its entries come in any order, so there is no length to tie an index to.
    var usesIndexFile: Bool { keepsIndexFile && keepsMessages && !database.sparse }
  }
}

/// The earlier name of ``Saga/Options``
public typealias SagaOptions = Saga.Options
