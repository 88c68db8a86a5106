public import RandomAccessStorage

/// A disk that loses power: a storage that records every write and sync, and can tell what might be
/// found after a crash at any point between them.
///
/// What was synced survives. What was not is only in the kernel's memory: after a power loss each
/// 512-byte sector of it may have arrived or not, in any order, and so may changes of a file's length.
/// A sector arrives whole.
public final class SimulatedDisk: StorageProvider {
  /// What a crash takes.
  public enum Loss: Hashable, Sendable, CaseIterable {
    /// Nothing: only the process died, and the kernel writes the rest.
    case nothing
    /// Everything that was not synced.
    case unsynced
    /// Of what was not synced, the later part: it was written in order, up to somewhere in a write.
    case tail
    /// Of what was not synced, any sectors.
    case anySectors
  }

  static let sector: UInt64 = 512

  private enum Event {
    case write(String, offset: UInt64, bytes: [UInt8])
    case truncate(String, length: UInt64)
    case sync(String)
  }

  private struct State {
    /// The content that the recording started from, all on the disk.
    var start: [String: [UInt8]]
    var events: [Event] = []
  }

  private let live = MemoryStorage()
  private let state: Guarded<State>

  public init() { state = Guarded(State(start: [:])) }

  /// A disk that holds the given files.
  public init(files: [String: [UInt8]]) throws {
    state = Guarded(State(start: files))
    for (name, bytes) in files {
      try live.storage(named: name).write([StorageWrite(offset: 0, bytes: bytes)])
    }
  }

  public var access: StorageAccess { .readWrite }

  /// How many points there are to crash at: before the first recorded change, and after each.
  public var crashPoints: Int { state.with { $0.events.count + 1 } }

  /// What all files hold now.
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

  /// The disk as found after a crash at `point`, with everything on it synced and nothing recorded.
  public func crashed(at point: Int, losing loss: Loss, random: inout SeededRandom) throws
    -> SimulatedDisk
  {
    let (start, events) = state.with { ($0.start, Array($0.events.prefix(point))) }
    var files = start
    var names = Set(start.keys)
    for event in events {
      switch event {
      case .write(let name, _, _), .truncate(let name, _), .sync(let name): names.insert(name)
      }
    }
    // In a fixed order, so that a seed means the same in every run.
    for name in names.sorted() {
      files[name] = Self.survivor(
        files[name], Self.changes(of: name, in: events), loss, &random)
    }
    return try SimulatedDisk(files: files)
  }

  private static func changes(of name: String, in events: [Event]) -> [Event] {
    events.filter {
      switch $0 {
      case .write(name, _, _), .truncate(name, _), .sync(name): true
      default: false
      }
    }
  }

  /// What is left of one file; nil if it was not even created.
  private static func survivor(
    _ start: [UInt8]?, _ changes: [Event], _ loss: Loss, _ random: inout SeededRandom
  ) -> [UInt8]? {
    let synced =
      loss == .nothing
      ? changes.count
      : changes.lastIndex { if case .sync = $0 { true } else { false } } ?? 0
    var content = start
    for change in changes.prefix(synced) { apply(change, to: &content) }
    let pieces = changes.dropFirst(synced).flatMap(sectors)
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
  private static func sectors(_ event: Event) -> [Event] {
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

  private static func apply(_ event: Event, to content: inout [UInt8]?) {
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
