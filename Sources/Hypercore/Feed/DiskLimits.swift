internal import Foundation
package import RandomAccessStorage

/// Limits on the disk space that data from peers may take. Data that is written here is not limited.
///
/// When a limit is reached, downloading pauses for the feeds that it concerns, and the application is
/// notified. It resumes by itself once there is room again.
public struct DiskLimits: Sendable {
  /// The most bytes on the disk that the feed of one writer may take; nil for no limit.
  public var perWriter: UInt64?
  /// The most bytes that all feeds together may take: those of a database, or a feed that is opened alone;
  /// nil for no limit.
  public var inAll: UInt64?
  /// A budget that these feeds share with others, such as all rooms of a host.
  public var budget: DiskBudget?
  /// The bytes of the disk that are left free for others, and for what is written here. Nil for 256 MiB, or
  /// for a twentieth of the disk if that is less.
  public var reserve: UInt64?

  /// Creates limits with nothing but the reserve.
  public init() {}

  /// Creates limits for each writer and for all together, in bytes on the disk.
  public init(perWriter: UInt64?, inAll: UInt64?, reserve: UInt64? = nil) {
    self.perWriter = perWriter
    self.inAll = inAll
    self.reserve = reserve
  }

  /// The reserve if none is given.
  static let standardReserve: UInt64 = 256 << 20

  /// The number of bytes that must stay free on a disk.
  package func reserve(of space: StorageSpace) -> UInt64 {
    reserve ?? min(Self.standardReserve, space.total / 20)
  }
}

/// A number of bytes on the disk that several feeds share.
///
/// Unchecked with this proof: `taken` is accessed under the lock only, and the rest never changes.
public final class DiskBudget: @unchecked Sendable {
  /// The size of the budget in bytes; nil for no limit.
  public let limit: UInt64?
  /// Names it in sentences for people: `this room`, `this host`.
  public let name: String
  private let parent: DiskBudget?
  private let lock = NSLock()
  private var taken: UInt64 = 0

  /// Creates a budget.
  ///
  /// - Parameters:
  ///   - limit: in bytes; nil to count only.
  ///   - name: names it in sentences for people, such as `this room`.
  ///   - parent: a budget that it is part of.
  public init(limit: UInt64?, name: String, within parent: DiskBudget? = nil) {
    self.limit = limit
    self.name = name
    self.parent = parent
  }

  /// The number of bytes that are taken.
  public var used: UInt64 { lock.withLock { taken } }

  func change(from old: UInt64, to new: UInt64) {
    lock.withLock {
      let (rest, _) = taken.subtractingReportingOverflow(min(old, taken))
      let (sum, overflow) = rest.addingReportingOverflow(new)
      taken = overflow ? .max : sum
    }
    parent?.change(from: old, to: new)
  }

  /// The pause for the first budget that is used up: this one, or one that it is part of; nil if none is.
  var exhausted: DownloadPause? {
    if let limit, used >= limit { return .quota(of: name, bytes: limit) }
    return parent?.exhausted
  }
}

/// The reason why downloading a feed is paused.
@nonexhaustive
public enum DownloadPause: Hashable, Sendable, CustomStringConvertible {
  /// A limit is reached: its owner, and its size in bytes.
  case quota(of: String, bytes: UInt64)
  /// The disk has less room than has to stay free.
  case reserve(available: UInt64, bytes: UInt64)
  /// The storage failed.
  case storage(reason: String)

  /// A sentence for people: the problem, and the next step.
  public var description: String {
    switch self {
    case .quota(let name, let bytes):
      "Data from peers has taken the \(bytes) bytes of disk that \(name) may take: nothing more is fetched. "
        + "Raise the limit, or clear what is not needed."
    case .reserve(let available, let bytes):
      "The disk has \(available) bytes left, and \(bytes) are kept free: nothing more is fetched until there is "
        + "room."
    case .storage(let reason): "Nothing is fetched until the storage works again: \(reason)"
    }
  }
}

/// A meter of the disk space that one feed takes, which decides whether it may take more. The space is
/// measured from time to time, and estimated from what is counted in between.
final class DiskMeter {
  /// The count after which the space is measured again: a sixteenth of the limit, at most 1 MiB, or this many
  /// blocks, as a block may take a page of the disk in each of four files. A limit can be exceeded by that
  /// much.
  private let countedBytes: Int
  private static let countedBlocks = 64

  private let core: FeedCore
  private let limits: DiskLimits
  /// Tells whether anything depends on what the feed takes; if nothing does, it is not measured.
  private let isLimited: Bool
  /// The space that the feed took when it was last measured.
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
  /// - Returns: true if the limits have to be checked again.
  func count(_ size: Int) -> Bool {
    bytes += size
    blocks += 1
    return bytes >= countedBytes || blocks >= Self.countedBlocks
  }

  /// The reason why downloading has to pause; nil if it may go on.
  ///
  /// - Parameter margin: the space that has to be free beyond the reserve, in sixteenths of it, so that a
  ///   pause does not come and go.
  func pause(margin: UInt64 = 0) -> DownloadPause? {
    measure()
    if let limit = limits.perWriter, used >= limit {
      return .quota(of: "this writer", bytes: limit)
    }
    if let exhausted = limits.budget?.exhausted { return exhausted }
    guard let space = try? core.files.provider.space() else { return nil }
    let reserve = limits.reserve(of: space)
    let needed = reserve + reserve / 16 * margin
    return space.available < needed ? .reserve(available: space.available, bytes: reserve) : nil
  }
}
