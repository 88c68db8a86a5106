internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto

// From the database's entries to the events of the room.
extension Saga {
  /// - Returns: true to go on.
  func handle(_ update: DatabaseUpdate) async -> Bool {
    if isClosed { return false }
    switch update {
    case .entries(let entries):
      let changes = entries.compactMap(add)
      noteTaken(entries)
      // What was stored before is delivered to each reader in order, once all of it is read.
      if isReady {
        send(changes)
      } else {
        countRead(entries.count)
        await sendProgress(entries)
      }
      tryNewcomers()
      if isReady, unwritten > max(Self.entriesBetweenWrites, index.count / 2) { writeIndex() }
    case .caughtUp:
      isReady = true
      if unwritten > Self.entriesBetweenWrites { writeIndex() }
      for waiter in readyWaiters { waiter.resume() }
      readyWaiters = []
      broadcast.send(.wake)
    case .authorized:
      isAuthorized = true
      send(.authorized)
      tryNewcomers()
    case .uploaded(let seq): send(.sent(seq: seq))
    case .forked(let evidence):
      forks.append(evidence)
      send(.forked(evidence))
    case .restored: send(.restored)
    case .left(let feed): remove(feed)
    case .issue(let error): send(.error(SagaError(.database, error.reason)))
    }
    return true
  }

  /// The index is written when more entries than this have come since, and more than half as many as it has messages.
  /// So what is written stays in proportion to what comes, and a part alone has to be read again after a kill.
  private static let entriesBetweenWrites = 1_000

  /// Removes the messages of a feed that has lost its place.
  private func remove(_ feed: PublicKey) {
    for record in index.remove(feed) { recent.remove(record) }
    taken[feed] = nil
    unwritten += 1
    send(.feedGone(feed))
  }

  private func add(_ entry: DatabaseNode) -> RoomQueue.Event? {
    defer {
      if entry.feed == db.localKey, !ownWaiters.isEmpty {
        let done = ownWaiters.filter { $0.seq <= entry.seq }
        ownWaiters.removeAll { $0.seq <= entry.seq }
        for waiter in done { waiter.1.resume() }
      }
    }
    // Keys are kept while the room is open, so a writer of huge ones would fill the memory. No correct writer
    // makes them.
    guard options.keepsMessages else { return nil }
    let key = entry.keyBytes
    guard key.count <= HyperDBLimits.keyBytes, key.starts(with: prefix) else { return nil }
    let content = entry.value.flatMap(options.kind.content)
    let change = index.add(
      RoomIndex.Entry(
        key: key, feed: entry.feed, seq: entry.seq, timestamp: content?.timestamp,
        isDeletion: entry.isDeleted))
    switch change {
    case .none: return nil
    case .unreadable:
      return .other(.unreadable(Message.ID(keyBytes: key, feed: entry.feed)))
    case .added(let record), .edited(let record):
      if let content, index.record(record).seq == entry.seq {
        recent.keep(content, of: record, feed: index.record(record).feed, at: entry.seq)
      }
    case .removed(let record, _): recent.remove(record)
    }
    return .change(change)
  }

  /// Counts entries that were handled, and notes the newest of each feed. They come in runs of one feed.
  private func noteTaken(_ entries: [DatabaseNode]) {
    unwritten += entries.count
    var index = 0
    while index < entries.count {
      let feed = entries[index].feed
      var newest = taken[feed, default: 0]
      while index < entries.count, entries[index].feed == feed {
        newest = max(newest, entries[index].seq)
        index += 1
      }
      taken[feed] = newest
    }
  }

  private func sendProgress(_ entries: [DatabaseNode]) async {
    loaded += UInt64(entries.count)
    guard loaded >= toldLoaded + 10_000, !broadcast.isEmpty else { return }
    toldLoaded = loaded
    let total = await db.feeds.reduce(0) { $0 + ($1.storedLength > 0 ? $1.storedLength - 1 : 0) }
    send(.loading(done: taken.values.reduce(0, +), of: total))
  }

  func databaseEnded() {
    for waiter in readyWaiters { waiter.resume() }
    readyWaiters = []
    for waiter in ownWaiters { waiter.1.resume() }
    ownWaiters = []
  }

  // MARK: Events

  /// Returns the events from now on, after the messages that are already here.
  ///
  /// No event after this call is missed, however late the reading begins.
  ///
  /// - Parameter stored: how many of those messages are delivered.
  public nonisolated func events(stored: StoredMessages = .all) -> SagaEvents {
    SagaEvents(saga: self, reader: RoomReader(broadcast.subscribe(RoomQueue()), stored: stored))
  }

  /// Sends an event to every reader.
  func send(_ event: SagaEvent) { broadcast.send(.other(event)) }

  private func send(_ changes: [RoomQueue.Event]) { broadcast.send(contentsOf: changes) }

  /// The most events that are handed over at once, and about the most bytes of their texts.
  private static let eventsAtOnce = 512
  private static let bytesAtOnce = 1 << 20
  /// The number of events that are taken from the queue together: their texts, of 64 KiB at most, may exceed the
  /// bytes above.
  private static let eventsTakenTogether = 16

  /// Returns the events that wait for a reader, or suspends until there are some; nil at the end.
  func nextEvents(_ reader: RoomReader) async -> [SagaEvent]? {
    while !Task.isCancelled {
      let events = dueEvents(reader)
      if !events.isEmpty { return events }
      guard await reader.subscription.waits() else { return nil }
    }
    return nil
  }

  func nextEvent(_ reader: RoomReader) async -> SagaEvent? {
    if reader.given == reader.ahead.count {
      guard let events = await nextEvents(reader) else { return nil }
      reader.ahead = events
      reader.given = 0
    }
    defer { reader.given += 1 }
    return reader.ahead[reader.given]
  }

  private func dueEvents(_ reader: RoomReader) -> [SagaEvent] {
    var events: [SagaEvent] = []
    if !reader.knowsPresence {
      reader.knowsPresence = true
      reader.subscription.withQueue { $0.dropPresence() }
      events =
        forks.map(SagaEvent.forked) + roster.users.map(SagaEvent.join)
        + requests.map(SagaEvent.request)
    }
    if isReady, !reader.isReady, reader.walk == nil { start(reader) }
    if reader.walk != nil {
      addStored(to: &events, reader)
      return events
    }
    var bytes = 0
    while events.count < Self.eventsAtOnce, bytes < Self.bytesAtOnce {
      let items = reader.subscription.withQueue { $0.next(upTo: Self.eventsTakenTogether) } ?? []
      for item in items {
        switch item {
        case .other(let event): events.append(event)
        case .change(let change):
          guard let event = event(of: change) else { continue }
          bytes += event.textCount
          events.append(event)
        case .wake: break
        }
      }
      if items.count < Self.eventsTakenTogether { break }
    }
    return events
  }

  /// Starts a reader on what is stored. Pending changes are part of that.
  private func start(_ reader: RoomReader) {
    let first: Int
    switch reader.stored {
    case .all: first = 0
    case .newest(let count): first = max(0, index.count - max(0, count))
    case .none:
      // The pending changes came after the reader did.
      reader.walk = (index.order, index.order.end)
      return
    }
    reader.subscription.withQueue { $0.dropChanges() }
    reader.walk = (index.order, index.order.place(at: first))
  }

  private func addStored(to events: inout [SagaEvent], _ reader: RoomReader) {
    guard let order = reader.walk?.order, var place = reader.walk?.place else { return }
    var bytes = 0
    while events.count < Self.eventsAtOnce, bytes < Self.bytesAtOnce {
      guard let record = order.next(&place) else {
        reader.walk = nil
        reader.isReady = true
        events.append(.ready)
        return
      }
      guard let event = event(of: .added(record)) else { continue }
      bytes += event.textCount
      events.append(event)
    }
    reader.walk = (order, place)
  }

  /// Returns the event of a change, with the current text; nil if the message has gone since.
  private func event(of change: RoomIndex.Change) -> SagaEvent? {
    switch change {
    case .added(let record), .edited(let record):
      guard let message = message(of: record) else { return nil }
      if options.kind == .operations { return .operation(RoomOperation(message)) }
      if case .added = change { return .message(message) }
      return .edit(message)
    case .removed(let record, let seq):
      return message(of: record, at: seq).map(SagaEvent.removal)
    case .none, .unreadable: return nil
    }
  }
}

extension SagaEvent {
  /// The approximate size of the text that it carries, in bytes.
  fileprivate var textCount: Int {
    switch self {
    case .message(let message), .edit(let message), .removal(let message):
      message.text.utf8.count + 256
    case .operation(let operation): operation.json.count + 256
    default: 256
    }
  }
}
