internal import DatSwarm
internal import DatWeb
internal import HyperDB
internal import HypercoreCrypto
internal import Saga

// The action of the page's button.
extension RoomFolder {
  func recovery(of room: PublicKey) async throws -> RecoveryPlan {
    let forked = try await forked(room)
    return RecoveryPlan(
      common: forked.common, length: forked.length, items: forked.items.map(Self.item))
  }

  func recover(_ room: PublicKey, keepsHistory: Bool) async throws -> String {
    let forked = try await forked(room)
    guard let opened = open[room] else { throw Self.gone }
    open[room] = nil
    opened.follower.cancel()
    await opened.view.close()
    await swarm?.leave(opened.saga.db.discoveryKey)
    await opened.saga.close()
    let result: Result<RecoveredFolder.Result, any Error>
    do {
      result = .success(
        try await RecoveredFolder(old: forked, keepsHistory: keepsHistory).make())
    } catch {
      result = .failure(error)
    }
    // The new one, or the old one if that failed.
    await add(try await saga(in: opened.folder, key: nil), opened.folder)
    return try result.get().aside
  }

  private func forked(_ room: PublicKey) async throws -> ForkedFolder {
    guard let folder = open[room]?.folder else { throw Self.gone }
    let forked = try await ForkedFolder.read(folder)
    guard !forked.isSource || !forked.otherWriters.isEmpty else {
      throw WebError(
        .refused,
        "Nobody else writes in this room, so no new key can be let in: end this program and run `dat rekey` "
          + "with its folder, which exports the messages for a new room.")
    }
    return forked
  }

  private static var gone: WebError { WebError(.notFound, "That room is not open here.") }

  private static func item(_ item: ForkedFolder.Item) -> RecoveryPlan.Item {
    switch item.fate {
    case .message(let content, _):
      RecoveryPlan.Item(
        text: content.text, username: content.username, timestamp: content.timestamp)
    case .entry(let isDeleted, _):
      RecoveryPlan.Item(
        text: (isDeleted ? "deletes " : "sets ") + String(decoding: item.key, as: UTF8.self))
    case .left(let reason):
      RecoveryPlan.Item(text: String(decoding: item.key, as: UTF8.self), obstacle: reason)
    }
  }
}
