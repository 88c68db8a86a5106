internal import DatSwarm
internal import Foundation
internal import Synchronization

/// Peers far from each other: everything takes a while in either direction.
enum DistanceRows {
  private static let roundTrips = [20, 100, 300]

  static let all: [Row] =
    roundTrips.map { roundTrip in
      Row("distance.feed.\(roundTrip)ms", unit: "s", isHeavy: true) { settings in
        let count = settings.scale(2000)
        let folder = try await Fixture.feed(count, size: 100)
        return Double(count)
          / (try await ReplicationRows.fetch(
            folder, count: count, toFiles: false, settings, roundTrip: roundTrip
          ).rate)
      }
    } + [Row(group: "distance.room", isHeavy: true, samples: rooms)]

  /// The room of the row `room.join`, joined from afar.
  @Sendable
  private static func rooms(_ settings: Settings) async throws -> [Sample] {
    let folder = try await RoomFixture.folder(settings)
    let server = try Child(["peer", "serve-room", folder])
    defer { server.kill() }
    let told = try server.expect("port")
    return try roundTrips.map { roundTrip in
      let child = try Child([
        "peer", "join-room", "\(told["key"] ?? "")", "\(told["port"] ?? 0)",
        "\(RoomFixture.messages(settings))", "0", "\(roundTrip)",
      ])
      defer { child.end() }
      let seconds = try child.expect("seconds")["seconds"] as? Double ?? .nan
      return Sample(name: "distance.room.\(roundTrip)ms", value: seconds, unit: "s")
    }
  }
}

/// A stream whose bytes take half a round trip in either direction.
final class DistantStream: PeerStream {
  private struct Flight {
    let arrival: ContinuousClock.Instant
    let bytes: [UInt8]
  }

  /// Bytes in flight in one direction, at most 4 MiB as of a line of some MB/s.
  private final class Line: Sendable {
    private let delay: Duration
    private let flights: AsyncStream<Flight>.Continuation
    private let stream: AsyncStream<Flight>
    private let inFlight = Atomic<Int>(0)

    init(_ delay: Duration) {
      self.delay = delay
      (stream, flights) = AsyncStream.makeStream()
    }

    func send(_ bytes: [UInt8]) async throws {
      while inFlight.load(ordering: .relaxed) > 4 << 20 {
        try await Task.sleep(for: .milliseconds(1))
      }
      inFlight.add(bytes.count, ordering: .relaxed)
      flights.yield(Flight(arrival: .now + delay, bytes: bytes))
    }

    func finish() { flights.finish() }

    /// Calls `take` with what arrives, when it does.
    func carry(_ take: ([UInt8]) async throws -> Void) async throws {
      for await flight in stream {
        try await Task.sleep(until: flight.arrival, clock: .continuous)
        inFlight.subtract(flight.bytes.count, ordering: .relaxed)
        try await take(flight.bytes)
      }
    }
  }

  private let inner: any PeerStream
  private let there: Line
  private let back: Line
  private let arrived: AsyncStream<[UInt8]>
  private let tasks: [Task<Void, any Error>]

  /// Returns the stream itself if there is no way between.
  static func far(_ stream: any PeerStream, roundTrip: Int) -> any PeerStream {
    roundTrip > 0 ? DistantStream(stream, .milliseconds(roundTrip) / 2) : stream
  }

  private init(_ inner: any PeerStream, _ delay: Duration) {
    self.inner = inner
    let (there, back) = (Line(delay), Line(delay))
    (self.there, self.back) = (there, back)
    let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
    arrived = stream
    tasks = [
      Task {
        while let bytes = try await inner.nextOutput() { try await there.send(bytes) }
        there.finish()
      },
      Task {
        try await there.carry { continuation.yield($0) }
        continuation.finish()
      },
      Task {
        try await back.carry { try await inner.receive($0) }
        await inner.finishInput()
      },
    ]
  }

  func receive(_ bytes: [UInt8]) async throws { try await back.send(bytes) }

  func nextOutput() async throws -> [UInt8]? {
    for await bytes in arrived { return bytes }
    return nil
  }

  func finishInput() async { back.finish() }

  func close(_ error: (any Error)?) async {
    for task in tasks { task.cancel() }
    await inner.close(error)
  }
}
