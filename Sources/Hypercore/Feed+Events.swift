extension Feed {
  /// What happens to the feed from now on.
  public nonisolated func events() -> FeedEvents { FeedEvents(feed: self) }

  /// Starts turning what the replicator tells into events.
  func follow() {
    replicator.onEvent = { [weak self, replica] event in
      let event = OnReplica(event, on: replica)
      self?.assumeIsolated { $0.take(event.take(on: $0.replica)) }
    }
  }

  private func take(_ event: ReplicatorEvent) {
    switch event {
    case .appended: tell(.append(length: core.length))
    case .downloaded(let index, _, _): tell(.download(index..<index + 1))
    case .uploaded(let index, _, _): tell(.upload(index..<index + 1))
    case .remoteUpdate: tell(.remoteUpdate)
    case .peerAdded(let peer): tell(.peerAdd(peerID(of: peer)))
    case .peerRemoved(let peer):
      tell(.peerRemove(peerID(of: peer)))
      peerNumbers[ObjectIdentifier(peer)] = nil
    case .stored: break
    case .synced: tell(.sync)
    case .cleared(let range): tell(.clear(range))
    case .forked: tell(.fork)
    }
  }

  func tell(_ event: FeedEvent) {
    if subscribers.isEmpty { return }
    for number in Array(subscribers.keys) {
      subscribers[number]?.add(event)
      wake(number)
    }
  }

  func subscribe() -> UInt64 {
    lastSubscriber += 1
    var queue = EventQueue()
    if isClosed { queue.add(.close) }
    subscribers[lastSubscriber] = queue
    return lastSubscriber
  }

  func nextEvent(_ number: UInt64) async -> FeedEvent? {
    while true {
      if let event = subscribers[number]?.next() { return event }
      guard let queue = subscribers[number], !queue.isClosed, !Task.isCancelled else {
        subscribers[number] = nil
        return nil
      }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          if Task.isCancelled {
            continuation.resume()
          } else {
            subscribers[number]?.waiter = continuation
          }
        }
      } onCancel: {
        Task { await self.wake(number) }
      }
    }
  }

  private func wake(_ number: UInt64) {
    let waiter = subscribers[number]?.waiter
    subscribers[number]?.waiter = nil
    waiter?.resume()
  }
}
