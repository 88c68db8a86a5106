internal import Foundation
public import Logging

/// A client of one application at one hub: it receives messages and sends them. If the hub goes away it
/// reconnects, with pauses from a second to a minute.
///
/// ```swift
/// let hub = SignalHub(try HubAddress(parsing: "wss://hub.example.org"), application: key, id: id)
/// for await event in hub.events { … }
/// ```
///
/// Stands for the clients of signalhub and signalhubws.
public actor SignalHub {
  /// News of a hub.
  public enum Event: Hashable, Sendable {
    /// The client is subscribed: messages from now on are received.
    case connected
    /// The hub can't be reached, or has gone; the client tries again after the pause.
    case disconnected(SignalError, again: Duration)
    /// A message on the common channel or on this client's own.
    case message(SignalMessage)
  }

  /// The ways in which a hub is used.
  public struct Options: Sendable {
    /// The pauses before the hub is tried again; the last one repeats.
    public var pauses: [Duration] = [1, 2, 5, 15, 30, 60].map { .seconds($0) }
    /// The time limit of one attempt to reach it.
    public var connectTimeout = Duration.seconds(10)
    /// The most messages that wait for the reader; beyond them the oldest is dropped. Other events are not dropped for them.
    public var waiting = 256
    /// Additional certificates to trust, as a PEM file: for the user's own hub.
    public var trustedCertificates: String?
    /// Receives log messages about the connection.
    public var logger = Logger(label: "dat.signal", factory: { _ in SwiftLogNoOpLogHandler() })

    /// The defaults.
    public init() {}
  }

  /// The address of the hub.
  public nonisolated let address: HubAddress
  /// This client's ID there.
  public nonisolated let id: String
  /// News, until ``close()``. To be iterated over once.
  public nonisolated let events: AsyncStream<Event>

  private nonisolated let application: String
  private nonisolated let options: Options
  private nonisolated let backlog: EventBacklog
  private let posts: AsyncStream<(SignalMessage, String)>
  private nonisolated let posting: AsyncStream<(SignalMessage, String)>.Continuation
  private var runner: Task<Void, Never>?
  private var poster: Task<Void, Never>?
  private var isClosed = false
  private var session: (any HubSession)?

  /// Makes a client that starts at once.
  ///
  /// - Parameters:
  ///   - address: the address of the hub.
  ///   - application: the room: the hexadecimal digits of a discovery key.
  ///   - id: the name of this client's channel. For rooms of the workshop it should be random: peers with the
  ///     same ID ignore each other.
  ///   - options: the options of the client.
  public init(_ address: HubAddress, application: String, id: String, options: Options = Options())
  {
    self.address = address
    self.application = application
    self.id = id
    self.options = options
    let backlog = EventBacklog(limit: options.waiting)
    self.backlog = backlog
    events = AsyncStream {
      await backlog.next()
    } onCancel: {
      backlog.finish()
    }
    (posts, posting) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(options.waiting))
    Task { await self.start() }
  }

  private func start() {
    guard runner == nil, !isClosed else { return }
    poster = Task { [weak self, posts] in
      for await (message, channel) in posts { await self?.say(message, to: channel) }
    }
    runner = Task { [weak self, address, application, id, options, backlog] in
      var failures = 0
      while !Task.isCancelled {
        do {
          let session = try await Self.open(address, application, id, options)
          guard let self, await self.uses(session) else { return await session.close() }
          failures = 0
          backlog.add(.connected)
          do {
            for try await message in session.messages { backlog.add(.message(message)) }
            throw SignalError(.unreachable, "The signal hub \(address) has closed the connection.")
          } catch {
            await session.close()
            throw error
          }
        } catch {
          if Task.isCancelled { return }
          let pause = options.pauses[min(failures, options.pauses.count - 1)]
          failures += 1
          let error = error as? SignalError ?? SignalError(address, failed: error)
          backlog.add(.disconnected(error, again: pause))
          // With jitter: clients that lost a hub at once should not all return at once.
          try? await Task.sleep(for: pause * Double.random(in: 0.75...1.25))
        }
      }
    }
  }

  private func uses(_ session: any HubSession) -> Bool {
    guard !Task.isCancelled else { return false }
    self.session = session
    return true
  }

  private static func open(
    _ address: HubAddress, _ application: String, _ id: String, _ options: Options
  ) async throws -> any HubSession {
    if address.usesSockets {
      return try await SocketHubSession(address, application, id, options)
    }
    return try await EventHubSession(address, application, id, options)
  }

  deinit {
    runner?.cancel()
    poster?.cancel()
    backlog.finish()
  }

  /// Sends a message on a peer's channel or the common one, after earlier posts; returns at once. Messages
  /// sent while the hub is away are lost.
  public nonisolated func post(_ message: SignalMessage, to channel: String) {
    posting.yield((message, channel))
  }

  /// Sends a message on a peer's channel or the common one. It is lost if the hub is away or nobody is
  /// subscribed.
  public func say(_ message: SignalMessage, to channel: String) async {
    try? await session?.say(message.bytes, to: channel)
  }

  /// Unsubscribes and ends the events.
  public func close() async {
    isClosed = true
    runner?.cancel()
    poster?.cancel()
    posting.finish()
    backlog.finish()
    await session?.close()
    session = nil
  }
}

/// One connection to a hub.
protocol HubSession: Sendable {
  /// The messages that come; throws or ends when the connection does.
  var messages: AsyncThrowingStream<SignalMessage, any Error> { get }
  func say(_ message: [UInt8], to channel: String) async throws
  func close() async
}
