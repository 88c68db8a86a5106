internal import ArgumentParser
internal import DatSwarm
internal import DatWire
internal import Foundation
internal import HypercoreCrypto

/// The option of commands that record their connections.
struct RecordOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Write all that goes over the connections to this new file, encrypted as it is; dat wire FILE reads it.",
      valueName: "file"), completion: .file())
  var record: String?

  /// Creates the file.
  ///
  /// - Returns: nil if nothing is to be recorded.
  /// - Throws: a sentence if the file can't be made.
  func recorder(_ output: Output) throws -> Recorder? {
    try record.map { path in try Recorder(path) { output.problem($0) } }
  }
}

/// A recording of a command's connections: a file of `RecordingFormat`.
///
/// Unchecked with this proof: everything that changes is accessed under the lock only.
final class Recorder: @unchecked Sendable {
  /// The most bytes of the file. A peer can send without end, and disks are finite.
  static let limit = 1 << 30

  private let path: String
  private let limit: Int
  private let complain: @Sendable (String) -> Void
  private let now: @Sendable () -> Int64
  private let lock = NSLock()
  private let descriptor: Int32
  private var written = 0
  private var connections: UInt64 = 0
  private var hasStopped = false

  /// Creates the file, for its owner alone.
  ///
  /// - Parameters:
  ///   - path: a file that does not exist yet.
  ///   - limit: the most bytes that are written.
  ///   - now: the time in milliseconds since 1970.
  ///   - complain: called with a sentence if recording has to stop.
  init(
    _ path: String, limit: Int = Recorder.limit,
    now: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) },
    complain: @escaping @Sendable (String) -> Void
  ) throws {
    self.path = SafeText.line(path)
    self.limit = limit
    self.now = now
    self.complain = complain
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      let number = errno
      throw ValidationError(
        number == EEXIST
          ? "\(self.path) exists, and nothing is overwritten: name a new file to record to."
          : "\(self.path) can't be made to record to: \(Descriptor.message(number)).")
    }
    write(RecordingFormat.heading)
  }

  deinit { close(descriptor) }

  /// Starts recording a connection.
  func tap(_ peer: PeerAddress, isInbound: Bool, _ feed: DiscoveryKey?) -> any ConnectionTap {
    let number = lock.withLock {
      connections += 1
      return connections
    }
    add(number, .began(peer: "\(peer)", isInbound: isInbound, feed))
    return Tap(recorder: self, connection: number)
  }

  /// Returns a tap for each connection of a swarm.
  var swarmTap: @Sendable (SwarmPeer) -> (any ConnectionTap)? {
    { [self] in tap($0.address, isInbound: $0.isInbound, $0.discoveryKey) }
  }

  private func add(_ connection: UInt64, _ content: RecordedPart.Content) {
    write(
      RecordingFormat.line(RecordedPart(connection: connection, time: now(), content: content)))
  }

  private func add(_ connection: UInt64, _ side: RecordedPart.Side, _ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      add(connection, .bytes(side, Array(rest.prefix(RecordingFormat.bytesOfLine))))
      rest = rest.dropFirst(RecordingFormat.bytesOfLine)
    }
  }

  private func write(_ line: String) {
    let bytes = Array(line.utf8) + [10]
    let problem: String? = lock.withLock {
      if hasStopped { return nil }
      if written + bytes.count > limit {
        hasStopped = true
        let reason = "The recording has reached \(limit) bytes: nothing more is recorded."
        let last = RecordedPart(
          connection: max(connections, 1), time: now(), content: .stopped(reason))
        _ = Descriptor.write(Array(RecordingFormat.line(last).utf8) + [10], to: descriptor)
        return "\(path): \(reason)"
      }
      written += bytes.count
      let number = Descriptor.write(bytes, to: descriptor)
      guard number != 0 else { return nil }
      hasStopped = true
      return
        "\(path) can't be written, and nothing more is recorded: \(Descriptor.message(number))."
    }
    if let problem { complain(problem) }
  }

  /// One connection of the recording.
  private final class Tap: ConnectionTap {
    private let recorder: Recorder
    private let connection: UInt64
    private let isOver = NSLock()
    /// Unsafe, with this proof: accessed under the lock only.
    nonisolated(unsafe) private var hasEnded = false

    init(recorder: Recorder, connection: UInt64) {
      self.recorder = recorder
      self.connection = connection
    }

    func received(_ bytes: [UInt8]) { recorder.add(connection, .there, bytes) }
    func sent(_ bytes: [UInt8]) { recorder.add(connection, .here, bytes) }

    func ended() {
      let isFirst = isOver.withLock {
        defer { hasEnded = true }
        return !hasEnded
      }
      if isFirst { recorder.add(connection, .ended) }
    }
  }
}
