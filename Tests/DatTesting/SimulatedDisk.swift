public import RandomAccessStorage

/// A disk that loses power: a storage that records every write and sync, and can produce the possible states
/// after a crash at any point between them.
///
/// Synced data survives. Other data is only in the kernel's memory: after a power loss each 512-byte sector
/// of it may have arrived or not, in any order, and so may changes of a file's length. A sector arrives as a
/// whole.
public final class SimulatedDisk: StorageProvider {
  /// The loss in a crash.
  public enum Loss: Hashable, Sendable, CaseIterable {
    /// Nothing: only the process died, and the kernel writes the rest.
    case nothing
    /// Everything that was not synced.
    case unsynced
    /// A later part of what was not synced: it was written in order, up to somewhere in a write.
    case tail
    /// Any sectors of what was not synced.
    case anySectors
  }

  static let sector: UInt64 = 512

  fileprivate enum Event {
    case write(String, offset: UInt64, bytes: [UInt8])
    case truncate(String, length: UInt64)
    case sync(String)
  }

  private struct State {
    /// The content at the start of the recording, all of it on the disk.
    var start: [String: [UInt8]]
    var events: [Event] = []
  }

  private let live = MemoryStorage()
  private let state: Guarded<State>

  public init() { state = Guarded(State(start: [:])) }

  /// Creates a disk with the given files.
  public init(files: [String: [UInt8]]) throws {
    state = Guarded(State(start: files))
    for (name, bytes) in files {
      try live.storage(named: name).write([StorageWrite(offset: 0, bytes: bytes)])
    }
  }

  public var access: StorageAccess { .readWrite }

  /// The number of points to crash at: before the first recorded change, and after each.
  public var crashPoints: Int { state.with { $0.events.count + 1 } }

  /// Returns the current content of all files.
  public func files() throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in live.names {
      let file = try live.storage(named: name)
      var bytes = [UInt8](repeating: 0, count: Int(try file.length()))
      _ = try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
      files[name] = bytes
    }
    return files
  }

  /// Returns the disk after a crash at `point`, with everything on it synced and nothing recorded.
  public func crashed(at point: Int, losing loss: Loss, random: inout SeededRandom) throws
    -> SimulatedDisk
  {
    var crash = crash()
    while crash.point < point, crash.advance() {}
    return try crash.disk(losing: loss, random: &random)
  }

  /// Returns an iteration over all points at which this disk may crash.
  public func crash() -> Crash {
    state.with { Crash(start: $0.start, events: $0.events) }
  }

  /// One point at which a disk crashes; ``advance()`` moves to the next.
  public struct Crash {
    private let events: [Event]
    /// The content that is on the disk for certain.
    private var synced: [String: [UInt8]]
    /// The changes of each file since it was synced.
    private var pending: [String: [Event]] = [:]
    /// The number of changes before the crash.
    public private(set) var point = 0

    fileprivate init(start: [String: [UInt8]], events: [Event]) {
      self.events = events
      synced = start
    }

    /// - Returns: false after the last point.
    public mutating func advance() -> Bool {
      guard point < events.count else { return false }
      let event = events[point]
      point += 1
      switch event {
      case .write(let name, _, _), .truncate(let name, _): pending[name, default: []].append(event)
      case .sync(let name):
        for change in pending.removeValue(forKey: name) ?? [] {
          SimulatedDisk.apply(change, to: &synced[name])
        }
      }
      return true
    }

    /// Returns the disk after the crash, with everything on it synced and nothing recorded.
    ///
    /// - Parameter next: true if the next change had begun: if it is a write, some of its first sectors were
    ///   written, in order.
    public func disk(
      losing loss: Loss, withPartOfNext next: Bool = false, random: inout SeededRandom
    ) throws -> SimulatedDisk {
      var pending = pending
      if next, point < events.count, case .write(let name, _, _) = events[point] {
        let pieces = SimulatedDisk.sectors(events[point])
        pending[name, default: []] += pieces.prefix(
          Int.random(in: 0..<pieces.count, using: &random))
      }
      var files = synced
      // In a fixed order, so that a seed gives the same result in every run.
      for (name, changes) in pending.sorted(by: { $0.key < $1.key }) {
        files[name] = SimulatedDisk.survivor(files[name], changes, loss, &random)
      }
      return try SimulatedDisk(files: files)
    }
  }

  /// The remaining content of one file; nil if it was not even created.
  fileprivate static func survivor(
    _ start: [UInt8]?, _ changes: [Event], _ loss: Loss, _ random: inout SeededRandom
  ) -> [UInt8]? {
    var content = start
    if loss == .nothing {
      for change in changes { apply(change, to: &content) }
      return content
    }
    let pieces = changes.flatMap(sectors)
    switch loss {
    case .nothing, .unsynced: break
    case .tail:
      let count = Int.random(in: 0...pieces.count, using: &random)
      for piece in pieces.prefix(count) { apply(piece, to: &content) }
    case .anySectors:
      let share = Double.random(in: 0...1, using: &random)
      for piece in pieces where random.chance(share) { apply(piece, to: &content) }
    }
    return content
  }

  /// A change cut at the borders of sectors.
  fileprivate static func sectors(_ event: Event) -> [Event] {
    guard case .write(let name, let offset, let bytes) = event else { return [event] }
    var pieces: [Event] = []
    var done = 0
    while done < bytes.count {
      let position = offset + UInt64(done)
      let count = min(Int(sector - position % sector), bytes.count - done)
      pieces.append(.write(name, offset: position, bytes: Array(bytes[done..<(done + count)])))
      done += count
    }
    return pieces
  }

  fileprivate static func apply(_ event: Event, to content: inout [UInt8]?) {
    var bytes = content ?? []
    switch event {
    case .sync: return
    case .write(_, let offset, let new):
      let end = Int(offset) + new.count
      if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
      bytes.replaceSubrange(Int(offset)..<end, with: new)
    case .truncate(_, let length):
      if bytes.count > Int(length) {
        bytes.removeSubrange(Int(length)...)
      } else {
        bytes += [UInt8](repeating: 0, count: Int(length) - bytes.count)
      }
    }
    content = bytes
  }

  public func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    SimulatedFile(name, try live.storage(named: name), disk: self)
  }

  public func lock(_ name: String) throws(StorageError) -> (any StorageLock)? { nil }

  public func exists(_ name: String) throws(StorageError) -> Bool { try live.exists(name) }

  fileprivate func recordWrite(_ name: String, _ piece: StorageWrite) {
    state.with { $0.events.append(.write(name, offset: piece.offset, bytes: piece.bytes)) }
  }

  fileprivate func recordTruncate(_ name: String, _ length: UInt64) {
    state.with { $0.events.append(.truncate(name, length: length)) }
  }

  fileprivate func recordSync(_ name: String) { state.with { $0.events.append(.sync(name)) } }
}

private final class SimulatedFile: RandomAccessStorage {
  private let name: String
  private let live: any RandomAccessStorage
  private let disk: SimulatedDisk

  init(_ name: String, _ live: any RandomAccessStorage, disk: SimulatedDisk) {
    self.name = name
    self.live = live
    self.disk = disk
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
    -> Int
  {
    try live.read(at: offset, into: buffer)
  }

  func write(_ pieces: [StorageWrite]) throws(StorageError) {
    try live.write(pieces)
    for piece in pieces where !piece.bytes.isEmpty { disk.recordWrite(name, piece) }
  }

  func length() throws(StorageError) -> UInt64 { try live.length() }

  func delete(at offset: UInt64, count: UInt64) throws(StorageError) {
    let before = try live.length()
    try live.delete(at: offset, count: count)
    let after = try live.length()
    if after < before { disk.recordTruncate(name, after) }
  }

  func truncate(to length: UInt64) throws(StorageError) {
    try live.truncate(to: length)
    disk.recordTruncate(name, length)
  }

  func sync() throws(StorageError) { disk.recordSync(name) }

  func close() {}
}
