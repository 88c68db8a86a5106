internal import ArgumentParser
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto

/// Sentences about keys that don't belong together, with the short forms of both.
enum StoredKey {
  /// Returns the beginning of a key, by which people recognise it.
  static func short(_ key: PublicKey) -> String { "\(key.hex.prefix(8))…" }

  /// Returns the sentence for a folder that holds something other than was asked for.
  ///
  /// - Parameters:
  ///   - key: the key that was asked for; nil leaves `error` unchanged.
  ///   - prefix: the prefix of the names of the stored feed's files.
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

  /// Returns the sentence for a peer that shares something other than was asked for.
  static func refusal(by peer: String, asked key: PublicKey, _ error: any Error) -> any Error {
    guard Problem.isAnotherFeed(error) else { return error }
    return ValidationError(
      "\(peer) does not share \(short(key)) but something else: compare the key with the one on the "
        + "other side.")
  }
}
