extension Feed {
  /// What happens to the feed from now on, `ready` first.
  ///
  /// Stands for hypercore `on(event)`.
  public nonisolated func events() -> FeedEvents { FeedEvents(subscription: hub.subscribe()) }

  /// Starts turning what the replicator tells into events.
  func follow() {
    replicator.onEvent = { [weak self, hub, replica] event in
      if hub.isEmpty { return }
      let event = OnReplica(event, on: replica)
      self?.assumeIsolated { $0.take(event.take(on: $0.replica)) }
    }
  }

  private func take(_ event: ReplicatorEvent) {
    switch event {
    case .appended: hub.tell(.append(length: core.length))
    case .stored(let ranges): for range in ranges { hub.tell(.download(range)) }
    case .uploaded(let range, _): hub.tell(.upload(range))
    case .remoteUpdate: hub.tell(.remoteUpdate)
    case .peerAdded(let peer): hub.tell(.peerAdd(peerID(of: peer)))
    case .peerRemoved(let peer): hub.tell(.peerRemove(peerID(of: peer)))
    case .synced: hub.tell(.sync)
    case .cleared(let range): hub.tell(.clear(range))
    case .forked: hub.tell(.fork)
    case .restored: hub.tell(.restored)
    case .failed(let error): hub.tell(.failure(reason: error.reason))
    }
  }
}
