internal import Hypercore

/// The options of a read of data that may not be here.
public struct ArchiveReadOptions: Sendable {
  /// True to wait for peers to bring it.
  public var wait: Bool
  /// The longest wait; nil for the archive's option.
  public var timeout: Duration?

  /// Makes options; each default is that of its property.
  public init(wait: Bool = true, timeout: Duration? = nil) {
    self.wait = wait
    self.timeout = timeout
  }
}

extension Archive {
  /// The most blocks that are awaited at once.
  private static let waitingAtOnce = 256

  /// Runs a read, and runs it again whenever the entries that it needs have come.
  func reading<Result>(
    _ options: ArchiveReadOptions, _ read: () throws -> Result
  ) async throws -> Result {
    try checkOpen()
    let timeout = options.timeout ?? self.options.timeout
    let deadline = timeout.map { ContinuousClock.now + $0 }
    if tree.source.length == 0, options.wait, !feeds.metadata.core.isOwned {
      _ = try await translated { try await metadata.update(to: 1, timeout: timeout) }
      try checkOpen()
    }
    while true {
      do { return try read() } catch let missing as MissingEntries {
        guard options.wait else {
          throw ArchiveError(
            .notStored, "Entry \(missing.seqs[0]) of the archive is not here.", seq: missing.seqs[0]
          )
        }
        try await fetch(missing, until: deadline)
      }
    }
  }

  /// Waits for the entries that a read needs: many at once, since a folder's are needed together.
  private func fetch(
    _ missing: MissingEntries, until deadline: ContinuousClock.Instant?
  ) async throws {
    let timeout = deadline.map { max(.zero, $0 - ContinuousClock.now) }
    let metadata = metadata
    try await translated {
      try await withThrowingTaskGroup(of: Void.self) { group in
        var underWay = 0
        for seq in missing.seqs {
          if underWay == Self.waitingAtOnce {
            try await group.next()
            underWay -= 1
          }
          group.addTask { _ = try await metadata.get(seq, options: .init(timeout: timeout)) }
          underWay += 1
        }
        try await group.waitForAll()
      }
    }
    try checkOpen()
  }

  /// Returns the content feed, after waiting for the archive's first block if that is not here.
  func contentFeed(_ options: ArchiveReadOptions) async throws -> Feed {
    try checkOpen()
    if let content { return content }
    guard options.wait else {
      throw ArchiveError(.notStored, "Nothing of the archive is here yet.")
    }
    let timeout = options.timeout ?? self.options.timeout
    try await translated { _ = try await metadata.get(0, options: .init(timeout: timeout)) }
    try checkOpen()
    try openContent()
    guard let content else { throw ArchiveError(.notStored, "Nothing of the archive is here yet.") }
    return content
  }

  /// Runs a call of a feed, and rethrows its errors as the archive's.
  func translated<Result>(_ body: () async throws -> Result) async throws -> Result {
    do { return try await body() } catch let error as FeedError {
      throw Self.error(error)
    }
  }

  static func error(_ error: FeedError) -> any Error {
    switch error.code {
    case .closed: ArchiveError(.closed, "The archive is closed.", cause: error)
    case .timeout:
      ArchiveError(.timedOut, "No peer brought what was asked for in time.", cause: error)
    case .blockNotStored: ArchiveError(.notStored, error.reason, cause: error)
    case .cancelled: CancellationError()
    default: ArchiveError(.feed, error.reason, cause: error)
    }
  }
}
