extension Feed {
  /// After how long without use a feed gives its caches back: what it needs again it reads again.
  private static var idleTime: Duration { .seconds(10) }

  /// Called at every use: sees to it that somebody looks whether it was the last for a while.
  func noteUse() {
    if idleWatch == nil, !isClosed { watchForIdleness() }
  }

  private func watchForIdleness() {
    idleWatch = Task { [weak self] in
      var seen: UInt64 = 0
      while (try? await Task.sleep(for: Self.idleTime)) != nil {
        guard let uses = await self?.uses, uses != seen else { break }
        seen = uses
      }
      await self?.rest()
    }
  }

  private var uses: UInt64 { core.uses }

  /// Gives back what memory can be read again, and looks on only while peers may use the feed.
  func rest() {
    core.releaseCaches()
    idleWatch = nil
    if !sessions.isEmpty { watchForIdleness() }
  }
}
