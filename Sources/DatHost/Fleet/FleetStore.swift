internal import DatCoding
internal import DatFleet
internal import DatSwarm
internal import Foundation
internal import HypercoreCrypto

/// The files of a fleet in the folder of a host: `fleet-keys`, the list of keys, to which each change is appended, and
/// `fleet-state`, the rest, which is replaced as a whole.
struct FleetStore {
  /// What a host has to know of its fleet when it starts.
  struct State: Hashable, Sendable {
    /// The members as they were last known, with their addresses.
    var members: [String: PeerAddress] = [:]
    /// Members that were missing for longer than the grace.
    var gone: Set<String> = []
    /// Keys that are served no longer, with the seconds for which they are kept yet.
    var kept: [DiscoveryKey: UInt64] = [:]
    /// Keys that had their last copies on hosts that are gone.
    var lost: [DiscoveryKey: [String]] = [:]
  }

  private let folder: String
  private var keysPath: String { folder + "/fleet-keys" }
  private var statePath: String { folder + "/fleet-state" }
  private var log: FileHandle?
  /// The records in the file.
  private var records = 0

  /// The most bytes of a file that is read: one of ten million changes.
  private static let limit = 512 << 20

  init(folder: String) { self.folder = folder }

  // MARK: Keys

  /// Reads the list of keys, and writes it anew if its file has many records that count no longer.
  ///
  /// - Returns: the list, and the number of records that could not be read.
  mutating func openKeys() throws(HostError) -> (list: FleetKeyList, unreadable: Int) {
    let bytes = try Self.read(keysPath)
    let (entries, unreadable) = FleetKeyLog.read(bytes)
    var list = FleetKeyList()
    for entry in entries { list.merge(entry) }
    records = entries.count
    if unreadable > 0 || records > 2 * list.count + 1000 { try rewrite(list) } else { try open() }
    return (list, unreadable)
  }

  private mutating func open() throws(HostError) {
    try Self.attempt(keysPath) {
      if !FileManager.default.fileExists(atPath: keysPath) { try Self.replace(keysPath, with: []) }
      let handle = try FileHandle(forUpdating: URL(fileURLWithPath: keysPath))
      try handle.seekToEnd()
      log = handle
    }
  }

  private mutating func rewrite(_ list: FleetKeyList) throws(HostError) {
    var bytes: [UInt8] = []
    for entry in list.all { bytes += FleetKeyLog.record(of: entry) }
    try? log?.close()
    log = nil
    try Self.attempt(keysPath) { try Self.replace(keysPath, with: bytes) }
    records = list.count
    try open()
  }

  /// Appends changes of the list.
  mutating func append(_ entries: [FleetEntry], to list: FleetKeyList) throws(HostError) {
    guard let log, !entries.isEmpty else { return }
    let start = UInt64(records * FleetKeyLog.recordSize)
    do {
      try log.write(contentsOf: entries.flatMap { FleetKeyLog.record(of: $0) })
      records += entries.count
    } catch {
      // A part of a record would make the following ones unreadable.
      try? log.truncate(atOffset: start)
      throw HostError(
        .folder, "\(keysPath) can't be written: \(error.localizedDescription)")
    }
    if records > 2 * list.count + 1_000_000 { try rewrite(list) }
  }

  /// Closes the list's file.
  mutating func close() {
    try? log?.synchronize()
    try? log?.close()
    log = nil
  }

  // MARK: State

  /// Reads the state. Lines that can't be read are passed over: what they say is learned again, and a key without its
  /// line is kept for longer.
  func readState() throws(HostError) -> State {
    var state = State()
    for line in TextLines.all(try Self.read(statePath)) {
      let words = line.split(separator: 0x20)
      guard let word = words.first, words.count >= 2 else { continue }
      let names = words.dropFirst().compactMap { String(validating: $0, as: UTF8.self) }
      guard names.count == words.count - 1 else { continue }
      if word.elementsEqual("member".utf8), names.count == 2 {
        guard let address = try? PeerAddress(parsing: names[1]) else { continue }
        state.members[names[0]] = address
      } else if word.elementsEqual("gone".utf8), names.count == 1 {
        state.gone.insert(names[0])
      } else if word.elementsEqual("kept".utf8), names.count == 2 {
        guard let key = DiscoveryKey(hex: names[0]), let seconds = UInt64(names[1]) else {
          continue
        }
        state.kept[key] = seconds
      } else if word.elementsEqual("lost".utf8) {
        guard let key = DiscoveryKey(hex: names[0]) else { continue }
        state.lost[key] = Array(names.dropFirst())
      }
    }
    return state
  }

  /// Replaces the state.
  func write(_ state: State) throws(HostError) {
    var lines: [String] = ["# written by dat host"]
    lines += state.members.map { "member \($0.key) \($0.value)" }.sorted()
    lines += state.gone.sorted().map { "gone \($0)" }
    lines += state.kept.map { "kept \($0.key.hex) \($0.value)" }.sorted()
    lines += state.lost.map { (["lost", $0.key.hex] + $0.value).joined(separator: " ") }.sorted()
    let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
    try Self.attempt(statePath) { try Self.replace(statePath, with: bytes) }
  }

  // MARK: Files

  private static func read(_ path: String) throws(HostError) -> [UInt8] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    guard let data = FileManager.default.contents(atPath: path), data.count <= limit else {
      throw HostError(.malformedFile, "\(path) can't be read as a file of a fleet.")
    }
    return Array(data)
  }

  /// Writes a file beside, and puts it into its place once it is on the disk.
  private static func replace(_ path: String, with bytes: [UInt8]) throws {
    let new = path + ".new"
    guard
      FileManager.default.createFile(
        atPath: new, contents: nil, attributes: [.posixPermissions: 0o600])
    else { throw CocoaError(.fileWriteUnknown) }
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: new))
    try handle.write(contentsOf: bytes)
    try handle.synchronize()
    try handle.close()
    guard rename(new, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
  }

  private static func attempt(_ path: String, _ body: () throws -> Void) throws(HostError) {
    do { try body() } catch {
      throw HostError(.folder, "\(path) can't be written: \(error.localizedDescription)")
    }
  }
}
