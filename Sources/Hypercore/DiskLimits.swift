internal import Foundation
internal import RandomAccessStorage

/// How much of the disk may be taken by what peers bring. What is written here is not bound by it.
///
/// At a limit nothing more is fetched of the feeds that it concerns, which is told, and fetching goes on by itself
/// once there is room again.
public struct DiskLimits: Sendable {
  /// How many bytes on the disk the feed of one writer may take; nil for any number.
  public var perWriter: UInt64?
  /// How many bytes all feeds together may take: of a database, or of a feed that is opened alone; nil for any
  /// number.
  public var inAll: UInt64?
  /// What these feeds share with others, such as all rooms of a host.
  public var budget: DiskBudget?
  /// How many bytes of the disk are left to others, and to what is written here. Nil for 256 MiB, or a twentieth of
  /// the disk where that is less.
  public var reserve: UInt64?

  /// No limits but the reserve.
  public init() {}

  /// Limits by writer and in all, in bytes on the disk.
  public init(perWriter: UInt64?, inAll: UInt64?, reserve: UInt64? = nil) {
    self.perWriter = perWriter
    self.inAll = inAll
    self.reserve = reserve
  }

  /// The reserve where none is named.
  static let standardReserve: UInt64 = 256 << 20

  /// How many bytes have to be left on a disk.
  func reserve(of space: StorageSpace) -> UInt64 {
    reserve ?? min(Self.standardReserve, space.total / 20)
  }
}

/// A number of bytes on the disk that several feeds share.
///
/// Unchecked with this proof: `taken` is touched under the lock only, and the rest never changes.
public final class DiskBudget: @unchecked Sendable {
  /// How many bytes it has; nil for any number.
  public let limit: UInt64?
  /// What it is for, in a sentence about it: `this room`, `this host`.
  public let name: String
  private let parent: DiskBudget?
  private let lock = NSLock()
  private var taken: UInt64 = 0

  /// A budget.
  ///
  /// - Parameters:
  ///   - limit: in bytes; nil to count only.
  ///   - name: whose it is, such as `this room`.
  ///   - parent: a budget that it is part of.
  public init(limit: UInt64?, name: String, within parent: DiskBudget? = nil) {
    self.limit = limit
    self.name = name
    self.parent = parent
  }

  /// How many bytes are taken.
  public var used: UInt64 { lock.withLock { taken } }

  func change(from old: UInt64, to new: UInt64) {
    lock.withLock {
      let (rest, _) = taken.subtractingReportingOverflow(min(old, taken))
      let (sum, overflow) = rest.addingReportingOverflow(new)
      taken = overflow ? .max : sum
    }
    parent?.change(from: old, to: new)
  }

  /// The first budget, this one or one that it is part of, that is used up.
  var exhausted: DownloadPause? {
    if let limit, used >= limit { return .quota(of: name, bytes: limit) }
    return parent?.exhausted
  }
}

/// Why nothing more is fetched of a feed, for the time being.
@nonexhaustive
public enum DownloadPause: Hashable, Sendable, CustomStringConvertible {
  /// A limit is reached: whose, and how many bytes it is.
  case quota(of: String, bytes: UInt64)
  /// The disk has less room than is left to others.
  case reserve(available: UInt64, bytes: UInt64)
  /// The storage failed.
  case storage(reason: String)

  /// A sentence for people: what is the matter, and what to do.
  public var description: String {
    switch self {
    case .quota(let name, let bytes):
      "What peers bring has taken the \(bytes) bytes of disk that \(name) may take: nothing more is fetched. "
        + "Raise the limit, or clear what is not needed."
    case .reserve(let available, let bytes):
      "The disk has \(available) bytes left, and \(bytes) are kept free: nothing more is fetched until there is "
        + "room."
    case .storage(let reason): "Nothing is fetched until the storage works again: \(reason)"
    }
  }
}

/// What one feed takes of the disk, and whether it may take more. Measured now and then, and counted between.
final class DiskMeter {
  /// After so many bytes, 1 MiB or a sixteenth of the limit, or so many blocks (a block may take a page of the disk
  /// in each of four files) it is measured again. By so much a limit may be passed.
  private let countedBytes: Int
  private static let countedBlocks = 64

  private let core: FeedCore
  private let limits: DiskLimits
  /// Tells whether anything depends on what the feed takes; if nothing does, it is not measured.
  private let isLimited: Bool
  /// What the feed took when it was measured last.
  @exclusivity(unchecked) private var used: UInt64 = 0
  @exclusivity(unchecked) private var bytes = 0
  @exclusivity(unchecked) private var blocks = 0

  init(_ core: FeedCore, _ limits: DiskLimits) {
    self.core = core
    self.limits = limits
    let limit = min(limits.perWriter ?? .max, limits.budget?.limit ?? .max)
    countedBytes = Int(min(max(limit / 16, 16 << 10), 1 << 20))
    isLimited = limits.perWriter != nil || limits.budget != nil
    measure()
  }

  deinit { limits.budget?.change(from: used, to: 0) }

  private func measure() {
    (bytes, blocks) = (0, 0)
    guard isLimited else { return }
    var sum: UInt64 = 0
    for file in core.files.growing { sum += (try? file.occupied()) ?? 0 }
    limits.budget?.change(from: used, to: sum)
    used = sum
  }

  /// Counts a block that was stored.
  ///
  /// - Returns: whether to look at the limits again.
  func count(_ size: Int) -> Bool {
    bytes += size
    blocks += 1
    return bytes >= countedBytes || blocks >= Self.countedBlocks
  }

  /// Why nothing more may be fetched; nil where more may.
  ///
  /// - Parameter margin: how much of the reserve there has to be beyond it, as a sixteenth: so that a pause does not
  ///   come and go.
  func pause(margin: UInt64 = 0) -> DownloadPause? {
    measure()
    if let limit = limits.perWriter, used >= limit {
      return .quota(of: "this writer", bytes: limit)
    }
    if let exhausted = limits.budget?.exhausted { return exhausted }
    guard let space = try? core.storage.space() else { return nil }
    let reserve = limits.reserve(of: space)
    let needed = reserve + reserve / 16 * margin
    return space.available < needed ? .reserve(available: space.available, bytes: reserve) : nil
  }
}
