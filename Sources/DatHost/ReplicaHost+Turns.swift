internal import HypercoreCrypto

/// Turns for more keys than may be open: the others wait in a queue.
extension ReplicaHost {
  /// True if one more key may be open. Keys that could not be opened don't count.
  var hasPlace: Bool { options.maximumOpen.map { replicas.count - failed.count < $0 } ?? true }

  /// Opens waiting keys while more may be open.
  func fill() async {
    while !isClosed, hasPlace, !queue.isEmpty { await startNext() }
  }

  private func startNext() async {
    let key = queue.removeFirst()
    guard let kind = kinds[key] else { return }
    await start(HostedKey(kind: kind, key: key))
  }

  /// Takes one turn: retries what could not be opened, and closes an eighth of the open keys in favour of
  /// some that wait.
  ///
  /// - Returns: true if there will be another turn.
  func rotate() async -> Bool {
    for key in Array(failed) where !busy.contains(key) {
      guard let kind = kinds[key] else { continue }
      await stop(key)
      await start(HostedKey(kind: kind, key: key))
    }
    await fill()
    if !queue.isEmpty, let most = options.maximumOpen {
      let counts = await connectionCounts()
      let open = openSince.filter { replicas[$0.key] != nil && !busy.contains($0.key) }
        .sorted { one, other in
          let isUsed = [one.key, other.key].map { counts[$0.discoveryKey, default: 0] > 0 }
          return isUsed[0] == isUsed[1] ? one.value < other.value : !isUsed[0]
        }
      for (key, _) in open.prefix(min(queue.count, max(1, most / 8))) where !isClosed {
        await stop(key)
        queue.append(key)
        await startNext()
      }
    }
    recordCounts()
    guard !isClosed, !queue.isEmpty || !failed.isEmpty else {
      endTurns()
      return false
    }
    return true
  }
}
