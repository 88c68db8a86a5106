import DatSwarm
import DatTesting

/// A sequence of bytes of any length in which a lost, doubled or moved byte shows.
struct Pattern: Sendable {
  private let block: [UInt8]

  init(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    // Not a multiple of any buffer size.
    block = random.bytes(100_003)
  }

  func bytes(at offset: Int, _ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      let start = (offset + bytes.count) % block.count
      bytes += block[start..<min(block.count, start + count - bytes.count)]
    }
    return bytes
  }
}

/// A condition to wait for, once or often.
actor Gate {
  private var isOpen = false
  private var waiters: [CheckedContinuation<Void, Never>] = []

  func open() {
    isOpen = true
    for waiter in waiters { waiter.resume() }
    waiters = []
  }

  func wait() async {
    if isOpen { return }
    await withCheckedContinuation { waiters.append($0) }
  }
}

struct TestFailure: Error, Equatable {}

/// A stream that sends this many bytes of a pattern and checks that it receives the same pattern.
actor PatternStream: PeerStream {
  private let pattern: Pattern
  private let total: Int
  private let outputGate: Gate?
  private let failing: Int?
  private let yields: Int
  private(set) var sent = 0
  private(set) var received = 0
  private(set) var isIntact = true
  private(set) var isFinished = false
  private(set) var closings: [String?] = []
  let finished = Gate()
  let closed = Gate()
  let firstInput = Gate()

  /// - Parameters:
  ///   - outputGate: the condition to wait for before the first output.
  ///   - failing: the number of received bytes after which it fails.
  ///   - yields: the number of yields for each receipt, which slow it down.
  init(
    _ pattern: Pattern, sending total: Int, outputGate: Gate? = nil, failing: Int? = nil,
    yields: Int = 0
  ) {
    self.pattern = pattern
    self.total = total
    self.outputGate = outputGate
    self.failing = failing
    self.yields = yields
  }

  func receive(_ bytes: [UInt8]) async throws {
    for _ in 0..<yields { await Task.yield() }
    isIntact = isIntact && bytes == pattern.bytes(at: received, bytes.count)
    received += bytes.count
    await firstInput.open()
    if let failing, received >= failing { throw TestFailure() }
  }

  func nextOutput() async throws -> [UInt8]? {
    await outputGate?.wait()
    if sent == total { return nil }
    let bytes = pattern.bytes(at: sent, min(65_000, total - sent))
    sent += bytes.count
    return bytes
  }

  func openOutput() async { await outputGate?.open() }

  func finishInput() async {
    isFinished = true
    await finished.open()
  }

  func close(_ error: (any Error)?) async {
    closings.append(error.map { "\($0)" })
    await outputGate?.open()
    await finished.open()
    await closed.open()
  }
}

/// A stream that sends back what it receives, holding at most a few buffers.
actor EchoStream: PeerStream {
  private var queue: [[UInt8]] = []
  private var isEnded = false
  private var reader: CheckedContinuation<Void, Never>?
  private var writer: CheckedContinuation<Void, Never>?
  private(set) var most = 0

  func receive(_ bytes: [UInt8]) async throws {
    while queue.count >= 2, !isEnded { await withCheckedContinuation { reader = $0 } }
    queue.append(bytes)
    most = max(most, queue.count)
    wake()
  }

  func nextOutput() async throws -> [UInt8]? {
    while queue.isEmpty, !isEnded { await withCheckedContinuation { writer = $0 } }
    defer { wake() }
    return queue.isEmpty ? nil : queue.removeFirst()
  }

  func finishInput() async {
    isEnded = true
    wake()
  }

  func close(_ error: (any Error)?) async {
    isEnded = true
    wake()
  }

  private func wake() {
    reader?.resume()
    reader = nil
    writer?.resume()
    writer = nil
  }
}

/// A stream that sends nothing until it is closed or its remote has finished.
actor IdleStream: PeerStream {
  private let ended = Gate()

  func receive(_ bytes: [UInt8]) async throws {}

  func nextOutput() async throws -> [UInt8]? {
    await ended.wait()
    return nil
  }

  func finishInput() async { await ended.open() }

  func close(_ error: (any Error)?) async { await ended.open() }
}

/// A stream that sends some bytes and listens.
actor SayingStream: PeerStream {
  private var bytes: [UInt8]?
  private(set) var received: [UInt8] = []
  private let ended = Gate()

  init(_ bytes: [UInt8]) { self.bytes = bytes.isEmpty ? nil : bytes }

  func receive(_ bytes: [UInt8]) { received += bytes }

  func nextOutput() async -> [UInt8]? {
    if let bytes {
      self.bytes = nil
      return bytes
    }
    await ended.wait()
    return nil
  }

  func finishInput() async { await ended.open() }
  func close(_ error: (any Error)?) async { await ended.open() }
}
