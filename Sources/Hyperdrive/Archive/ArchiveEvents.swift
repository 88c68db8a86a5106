internal import Foundation

/// An event of an archive.
@nonexhaustive
public enum ArchiveEvent: Hashable, Sendable {
  /// The content feed's key is known now.
  case content
  /// There is a newer version, written here or announced by a peer. Several in a row are one event.
  case update(version: UInt64)
  /// Everything of this version is here.
  case sync(version: UInt64)
  /// Something is the matter, or no more: ``Archive/fork``, ``Archive/downloadPause`` and
  /// ``Archive/folderFailure`` say what.
  case trouble
  /// The archive was closed; always the last event.
  case close
}

/// The events of an archive since the call of ``Archive/events()``.
///
/// A slow reader gets the newest 16 events, each of which includes what older ones of its kind said. The
/// sequence ends after ``ArchiveEvent/close`` or when its task is cancelled. One task should read it.
public struct ArchiveEvents: AsyncSequence, Sendable {
  public typealias Element = ArchiveEvent

  let stream: AsyncStream<ArchiveEvent>

  public func makeAsyncIterator() -> AsyncStream<ArchiveEvent>.Iterator {
    stream.makeAsyncIterator()
  }
}

/// The followers of an archive.
///
/// Unchecked, with this proof: its state is touched under the lock only.
final class ArchiveHub: @unchecked Sendable {
  private let lock = NSLock()
  private var followers: [UInt64: AsyncStream<ArchiveEvent>.Continuation] = [:]
  private var last: UInt64 = 0
  private var isClosed = false

  /// The most events that wait for a slow reader. Each of them includes what older ones of its kind
  /// said.
  private static let pending = 16

  func subscribe() -> ArchiveEvents {
    let (stream, continuation) = AsyncStream<ArchiveEvent>.makeStream(
      bufferingPolicy: .bufferingNewest(Self.pending))
    let (number, isClosed) = lock.withLock {
      last += 1
      if !self.isClosed { followers[last] = continuation }
      return (last, self.isClosed)
    }
    continuation.onTermination = { [weak self] _ in self?.remove(number) }
    if isClosed {
      continuation.yield(.close)
      continuation.finish()
    }
    return ArchiveEvents(stream: stream)
  }

  private func remove(_ number: UInt64) {
    _ = lock.withLock { followers.removeValue(forKey: number) }
  }

  func send(_ event: ArchiveEvent) {
    for follower in lock.withLock({ Array(followers.values) }) { follower.yield(event) }
  }

  func close() {
    let followers = lock.withLock {
      isClosed = true
      defer { self.followers = [:] }
      return Array(self.followers.values)
    }
    for follower in followers {
      follower.yield(.close)
      follower.finish()
    }
  }
}

extension Archive {
  /// Returns the archive's events from now on. Listening has begun when this returns.
  ///
  /// Stands for hyperdrive's events `content`, `update`, `sync` and `close`.
  public nonisolated func events() -> ArchiveEvents { hub.subscribe() }
}
