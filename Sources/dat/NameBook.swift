internal import DatCoding
internal import HypercoreCrypto

/// The names that were seen in a room and the keys that use them, to find out which names need a key beside
/// them.
struct NameBook {
  /// The most keys of one look: beyond them each of its names already shows its key.
  private static let keysOfALook = 64
  /// The most looks, at up to 2 KB each; beyond them every name shows its key. A stranger with ever new
  /// names must not fill the memory.
  private static let looks = 10_000

  private var keys: [NameLook: Set<PublicKey>] = [:]
  /// The look of the last name of each key: people rarely change theirs.
  private var last: [PublicKey: (name: ForeignText, look: NameLook)] = [:]

  /// Notes that a key uses a name.
  mutating func learn(_ name: ForeignText, _ key: PublicKey) {
    if last[key]?.name == name { return }
    let look = NameLook(of: name)
    if last[key] != nil || last.count < Self.looks { last[key] = (name, look) }
    if let known = keys[look] {
      if known.count < Self.keysOfALook { keys[look]?.insert(key) }
    } else if keys.count < Self.looks {
      keys[look] = [key]
    }
  }

  /// Returns whether a name doesn't suffice to identify a person: another key has one that looks the same, its
  /// letters are of scripts that no language mixes, or it is not known.
  func needsKey(_ name: ForeignText, _ key: PublicKey) -> Bool {
    let look = last[key].flatMap { $0.name == name ? $0.look : nil } ?? NameLook(of: name)
    if look.mixesScripts || keys.count >= Self.looks { return true }
    return keys[look]?.contains { $0 != key } ?? false
  }
}
