extension Feed {
  /// The time without use after which a feed releases its caches. It reads again what it needs
  /// later.
  private static var idleTime: Duration { .seconds(10) }

  /// Called at every use: makes sure that a task watches for the feed to become idle.
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

  /// Releases memory whose content can be read again. Keeps watching only while peers may use the
  /// feed.
  func rest() {
    core.releaseCaches()
    idleWatch = nil
    if !sessions.isEmpty { watchForIdleness() }
  }
}
