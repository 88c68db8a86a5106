extension Feed {
  /// The feed's events from now on, `ready` first.
  ///
  /// Stands for hypercore `on(event)`.
  public nonisolated func events() -> FeedEvents {
    FeedEvents(subscription: hub.subscribe(EventQueue()))
  }

  /// Starts passing on the replicator's events.
  func follow() {
    latestLength.set(core.length)
    replicator.onEvent = { [weak self, hub, replica, core, latestLength] event in
      switch event {
      case .appended, .failed: latestLength.set(core.length)
      default: break
      }
      if hub.isEmpty { return }
      let event = OnReplica(event, on: replica)
      self?.assumeIsolated { $0.take(event.take(on: $0.replica)) }
    }
  }

  private func take(_ event: ReplicatorEvent) {
    switch event {
    case .appended: hub.send(.append(length: core.length))
    case .stored(_, let arrivals):
      for arrival in arrivals { hub.send(.download(arrival.blocks, from: arrival.peer?.publicID)) }
    case .uploaded(let range, let peer): hub.send(.upload(range, to: peer.publicID))
    case .remoteUpdate: hub.send(.remoteUpdate)
    case .peerAdded(let peer): hub.send(.peerAdd(peer.publicID))
    case .peerRemoved(let peer): hub.send(.peerRemove(peer.publicID))
    case .synced: hub.send(.sync)
    case .cleared(let range): hub.send(.clear(range))
    case .setAside(let range): hub.send(.missing(range))
    case .forked: hub.send(.fork)
    case .restored: hub.send(.restored)
    case .paused(let pause): hub.send(.pause(pause))
    case .resumed: hub.send(.resume)
    case .failed(let error): hub.send(.failure(reason: error.reason))
    }
  }
}
