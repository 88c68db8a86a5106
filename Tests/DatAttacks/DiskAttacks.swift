internal import DatTesting
internal import Foundation
internal import HypercoreCrypto
internal import RandomAccessStorage

/// Attacks that fill a disk.
extension Attack {
  static let disk: [Attack] = [
    room(
      46, "16 MB by a writer who may have 1 MiB", memory: 64 << 20,
      arguments: ["--writer-quota", "1M"]
    ) {
      scene in
      let writer = try EvilWriter(scene.key)
      try await writer.join(scene.victim.port)
      try await within("the writer's authorization") {
        while await !scene.isAuthorized(writer.pair.publicKey) {
          try Task.checkCancellation()
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      let text = String(repeating: "x", count: 8000)
      for _ in 0..<2000 { try await writer.say(text) }
      try await scene.said("that the writer's download pauses", "1048576 bytes")
      try await scene.checkHonest("while a writer has used up its share")
      let folder = FolderStorage(
        path: scene.folder.path + "/room/peers/\(writer.pair.publicKey.discoveryKey.hex)")
      var taken: UInt64 = 0
      for name in ["data", "tree", "bitfield", "signatures"] {
        taken += try folder.storage(named: name).occupied()
      }
      // The blocks of a burst may come on top.
      try require(taken < 8 << 20, "\(taken) bytes were taken of a share of 1 MiB")
    }
  ]
}
