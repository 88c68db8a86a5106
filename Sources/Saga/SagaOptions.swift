internal import Foundation
public import HyperDB
public import Hypercore
public import HypercoreCrypto

/// The settings that a room is opened with.
public struct SagaOptions: Sendable {
  /// The kind of its entries.
  public var kind = RoomKind.messages
  /// The options of its database: with a small cache, since a room is read in order and written at its end.
  public var database: HyperDBOptions = {
    var options = HyperDBOptions()
    options.cacheBytes = 4 * 1024 * 1024
    options.disk = SagaOptions.disk
    return options
  }()
  /// The share of the disk that a room may take: 256 MiB a writer, which is a million messages and more, and
  /// 4 GiB in all, so that sixteen writers have to collude to fill it.
  public static let disk = DiskLimits(perWriter: 256 << 20, inAll: 4 << 30)
  /// The rule by which newcomers may write.
  public var authorization = AuthorizationPolicy.open
  /// The limits of that.
  public var limits = AuthorizationLimits()
  /// False for a program that only keeps the room going: ``Saga/messages`` stays empty, and no event
  /// tells of messages. They are stored and passed on all the same.
  public var keepsMessages = true
  /// Tells whether opening waits until every stored message is in the room. Without it a room that has to be read
  /// through is there at once and fills: ``SagaEvent/loading(done:of:)`` tells how far it is.
  public var waitsForMessages = true
  /// Tells whether an index is kept in the room's folder, in a file `room-index`, from which the room opens
  /// without a look at every message: 32 bytes a message. It is made anew where it doesn't fit.
  public var keepsIndexFile = true
  /// The feeds whose messages are not to be shown here, from an earlier run.
  public var muted: Set<PublicKey> = []
  /// The time, in milliseconds since 1970.
  public var now: @Sendable () -> Int64 = { Int64((Date().timeIntervalSince1970 * 1000).rounded()) }
  /// Makes the ids of new messages, to repeat recorded ones; nil for random ones.
  package var makeID: (@Sendable () -> String)?

  /// The defaults.
  public init() {}

  /// In a sparse database entries come in any order: there is no length to tie an index to.
  var usesIndexFile: Bool { keepsIndexFile && keepsMessages && !database.sparse }
}
