public import Hypercore
public import HypercoreCrypto

extension Saga {
  /// Returns whether the feed of a fork is the one of this key.
  package static func isFork(_ evidence: ForkEvidence, of own: PublicKey) -> Bool {
    evidence.key == own
  }

  /// Explains a fork to the people of the room, in one sentence with the next step.
  ///
  /// - Parameters:
  ///   - evidence: the two histories.
  ///   - own: the feed that is written here; see `HyperDB.localKey`.
  public static func sentence(for evidence: ForkEvidence, own: PublicKey) -> String {
    if evidence.key == own {
      return
        "What you wrote here and in a copy of this folder became two histories, of which others take one: "
        + "nothing more is written here, so close the room and run `dat rekey` on its folder, which goes on "
        + "with a new key and what the others lack."
    }
    return
      "Feed \(evidence.key.hex.prefix(8)) was written in two copies of its folder and has two histories now: "
      + "what is here of it stays, nothing of the other one is taken, and its owner has to run `dat rekey`."
  }
}
