internal import Foundation
public import HypercoreCrypto
internal import HypercoreProtocol

/// A message of an extension, which an application adds to the protocol.
public struct ExtensionMessage: Hashable, Sendable {
  /// The extension, one of ``ReplicationOptions/extensions``.
  public let name: String
  /// The message itself, in a form that the extension defines.
  public let payload: [UInt8]
  /// The feed on whose channel it arrived.
  public let feed: DiscoveryKey
}

extension ReplicationStream {
  /// Sends a message of an extension, whether or not the peer speaks it. A peer ignores the messages of
  /// extensions that it doesn't speak.
  ///
  /// - Parameters:
  ///   - name: one of ``ReplicationOptions/extensions``.
  ///   - payload: up to 8 MiB.
  ///   - feed: the feed on whose channel it is sent; nil for the connection's first.
  /// - Throws: `ProtocolError` for an extension that was not announced, a payload that is too large or a
  ///   connection that has ended; ``FeedError`` with `closed` for a feed that isn't open on it.
  ///
  /// Stands for hypercore-protocol `feed.extension(name, payload)`.
  public func send(
    extension name: String, payload: [UInt8], feed: DiscoveryKey? = nil
  ) throws {
    let channel = feed.map { session.connection.channel(of: $0) } ?? session.firstChannel
    guard let channel else {
      throw FeedError(code: .closed, reason: "The feed is not open on this connection.")
    }
    try session.connection.sendExtension(name, payload: payload, on: channel)
    session.hasOutput()
  }

  /// Returns whether the peer announced an extension that this side speaks too; false before its handshake.
  /// Stands for hypercore-protocol `remoteSupports(name)`.
  public func peerSupports(extension name: String) -> Bool {
    session.connection.remoteSupports(name)
  }

  /// Returns the messages of extensions from now on, up to the end of the connection.
  ///
  /// None is dropped: while 256 of them or 1 MiB wait to be read, ``receive(_:)`` is suspended, and the peer
  /// with it. A reader that needs all of them calls this before the transport starts; without a reader they
  /// are discarded, as in the reference.
  ///
  /// Stands for hypercore-protocol's event `extension`.
  public func extensionMessages() -> ExtensionMessages {
    ExtensionMessages(reader: extensionQueue.subscribe())
  }
}

/// The messages of extensions on a connection, in the order of their arrival; for one reader.
public struct ExtensionMessages: AsyncSequence, Sendable {
  public typealias Element = ExtensionMessage

  let reader: ExtensionQueue.Reader

  public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

  /// An iterator that waits for each message.
  public struct Iterator: AsyncIteratorProtocol {
    let reader: ExtensionQueue.Reader

    /// Returns the next message; nil if the connection has ended or the task is cancelled.
    public mutating func next() async -> ExtensionMessage? { await reader.next() }
  }
}

/// The messages that the readers of one connection have not taken yet.
///
/// Unchecked with this proof: everything that changes is accessed under the lock only.
final class ExtensionQueue: @unchecked Sendable {
  static let messageLimit = 256
  static let byteLimit = 1 << 20

  /// One reader's position, which is released with the last reference to it.
  final class Reader: Sendable {
    let queue: ExtensionQueue
    let number: UInt64

    init(_ queue: ExtensionQueue, _ number: UInt64) {
      self.queue = queue
      self.number = number
    }

    deinit { queue.forget(number) }

    func next() async -> ExtensionMessage? {
      while true {
        let (message, isOver) = queue.take(number)
        if let message { return message }
        if isOver { return nil }
        await withTaskCancellationHandler {
          await withCheckedContinuation { queue.wait(number, $0) }
        } onCancel: {
          queue.wake(number)
        }
      }
    }
  }

  private struct Place {
    var messages: [ExtensionMessage] = []
    var taken = 0
    var bytes = 0
    var waiter: CheckedContinuation<Void, Never>?

    var count: Int { messages.count - taken }
    var isFull: Bool { count >= messageLimit || bytes >= byteLimit }
  }

  private let lock = NSLock()
  private var places: [UInt64: Place] = [:]
  private var last: UInt64 = 0
  private var isFinished = false
  private var roomWaiters: [UInt64: CheckedContinuation<Void, Never>] = [:]

  func subscribe() -> Reader {
    lock.withLock {
      last += 1
      places[last] = Place()
      return Reader(self, last)
    }
  }

  var isFull: Bool { lock.withLock { !isFinished && places.values.contains(where: \.isFull) } }

  /// The number of messages that wait; for tests.
  var pendingCount: Int { lock.withLock { places.values.reduce(0) { $0 + $1.count } } }

  func add(_ message: ExtensionMessage) {
    let waiters = lock.withLock {
      places.keys.compactMap { number in
        places[number]?.messages.append(message)
        places[number]?.bytes += message.payload.count
        return places[number]?.waiter.take()
      }
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Returns once no reader is too far behind, or nobody needs to wait any more.
  func waitForRoom() async {
    while isFull, !Task.isCancelled {
      let number = lock.withLock {
        last += 1
        return last
      }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let isOver = lock.withLock {
            let isOver =
              isFinished || Task.isCancelled || !places.values.contains(where: \.isFull)
            if !isOver { roomWaiters[number] = continuation }
            return isOver
          }
          if isOver { continuation.resume() }
        }
      } onCancel: {
        lock.withLock { roomWaiters.removeValue(forKey: number) }?.resume()
      }
    }
  }

  func finish() {
    let waiters = lock.withLock {
      isFinished = true
      return takeRoomWaiters() + places.keys.compactMap { places[$0]?.waiter.take() }
    }
    for waiter in waiters { waiter.resume() }
  }

  private func takeRoomWaiters() -> [CheckedContinuation<Void, Never>] {
    defer { roomWaiters = [:] }
    return Array(roomWaiters.values)
  }

  private func take(_ number: UInt64) -> (ExtensionMessage?, isOver: Bool) {
    let (message, isOver, waiters) = lock.withLock {
      () -> (ExtensionMessage?, Bool, [CheckedContinuation<Void, Never>]) in
      guard !Task.isCancelled, var place = places[number] else { return (nil, true, []) }
      guard place.count > 0 else { return (nil, isFinished, []) }
      let wasFull = place.isFull
      // Removed first, so that the array is changed in place.
      places[number] = nil
      let message = place.messages[place.taken]
      place.taken += 1
      place.bytes -= message.payload.count
      if place.taken >= Self.messageLimit || place.count == 0 {
        place.messages.removeSubrange(0..<place.taken)
        place.taken = 0
      }
      places[number] = place
      return (message, false, wasFull && !place.isFull ? takeRoomWaiters() : [])
    }
    for waiter in waiters { waiter.resume() }
    return (message, isOver)
  }

  private func wait(_ number: UInt64, _ continuation: CheckedContinuation<Void, Never>) {
    let former = lock.withLock { () -> CheckedContinuation<Void, Never>? in
      guard !Task.isCancelled, !isFinished, let place = places[number], place.count == 0 else {
        return continuation
      }
      places[number]?.waiter = continuation
      return place.waiter
    }
    former?.resume()
  }

  private func wake(_ number: UInt64) {
    lock.withLock { places[number]?.waiter.take() }?.resume()
  }

  private func forget(_ number: UInt64) {
    let waiters = lock.withLock { () -> [CheckedContinuation<Void, Never>] in
      let place = places.removeValue(forKey: number)
      return takeRoomWaiters() + (place?.waiter.map { [$0] } ?? [])
    }
    for waiter in waiters { waiter.resume() }
  }
}
