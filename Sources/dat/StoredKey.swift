internal import ArgumentParser
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto

/// Keys that don't belong together, in one sentence with the short forms of both.
enum StoredKey {
  /// The beginning of a key, by which people tell two apart.
  static func short(_ key: PublicKey) -> String { "\(key.hex.prefix(8))…" }

  /// The sentence for a folder that holds something else than was asked for.
  ///
  /// - Parameters:
  ///   - key: what was asked for; nil leaves `error` as it is.
  ///   - prefix: the beginning of the names of the files of the feed that is stored.
  static func refusal(
    of folder: String, prefix: String = "source/", asked key: PublicKey?, _ error: any Error
  ) -> any Error {
    guard let key, (error as? FeedError)?.code == .anotherFeedStored,
      let bytes = FileManager.default.contents(atPath: "\(folder)/\(prefix)key"),
      let stored = PublicKey(bytes: Array(bytes)), stored != key
    else { return error }
    return ValidationError(
      "Another feed is stored in \(SafeText.line(folder)): its key is \(short(stored)), not "
        + "\(short(key)). Name another folder, or leave the key out.")
  }

  /// The sentence for a peer that shares something else than was asked for.
  static func refusal(by peer: String, asked key: PublicKey, _ error: any Error) -> any Error {
    guard Problem.isAnotherFeed(error) else { return error }
    return ValidationError(
      "\(peer) does not share \(short(key)) but something else: compare the key with the one on the "
        + "other side.")
  }
}
