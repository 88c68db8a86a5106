internal import Foundation
internal import HypercoreCrypto

/// The folders of a host's replicas, each named for its discovery key.
struct ReplicaFolders: Sendable {
  /// The path of the host's folder.
  let path: String

  /// Returns the folder of a replica.
  func path(of key: DiscoveryKey) -> String { "\(path)/replicas/\(key.hex)" }

  /// Returns whether something is stored of a key.
  func isStored(_ key: DiscoveryKey) -> Bool {
    FileManager.default.fileExists(atPath: self.path(of: key))
  }

  /// Returns the keys of which something is stored.
  func stored() -> Set<DiscoveryKey> {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/replicas")) ?? []
    return Set(names.compactMap { DiscoveryKey(hex: $0) })
  }

  /// Deletes what is stored of a key, which first leaves its place as a whole: a crash leaves no part of it there.
  func free(_ key: DiscoveryKey) throws(HostError) {
    let place = self.path(of: key)
    let rest = "\(path)/freed"
    guard FileManager.default.fileExists(atPath: place) else { return }
    do {
      try FileManager.default.createDirectory(atPath: rest, withIntermediateDirectories: true)
      try FileManager.default.moveItem(atPath: place, toPath: "\(rest)/\(UUID().uuidString)")
    } catch {
      throw HostError(.folder, "\(place) can't be deleted: \(error.localizedDescription)")
    }
    clearFreed()
  }

  /// Deletes what a crash has left of freed keys.
  func clearFreed() { try? FileManager.default.removeItem(atPath: path + "/freed") }
}
