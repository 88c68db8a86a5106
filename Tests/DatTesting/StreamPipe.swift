public import Hypercore

/// Joins two replication streams in this process until both have ended.
///
/// - Parameter piece: the number of bytes that are delivered at once; 0 for as many as there are.
public func join(
  _ one: ReplicationStream, _ other: ReplicationStream, piece: Int = 0
) async {
  await withTaskGroup(of: Void.self) { group in
    group.addTask { await carry(from: one, to: other, piece) }
    group.addTask { await carry(from: other, to: one, piece) }
  }
}

private func carry(from one: ReplicationStream, to other: ReplicationStream, _ piece: Int) async {
  while let bytes = await one.nextOutput() {
    if piece == 0 {
      await other.receive(bytes)
      continue
    }
    for start in stride(from: 0, to: bytes.count, by: piece) {
      await other.receive(Array(bytes[start..<min(start + piece, bytes.count)]))
    }
  }
  await other.finishInput()
}
