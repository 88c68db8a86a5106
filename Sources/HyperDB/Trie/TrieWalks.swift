/// The walks over a database's tries, one of each kind. A walk ends before the next one begins, so each reuses its
/// memory.
struct TrieWalks {
  /// The walk of a read, from the heads towards a path.
  let lookup = Lookup()
  /// The walk that builds the trie of a new entry.
  let insertion = Insertion()
  /// The comparison of two entries, one of which claims to know the other.
  let headCheck = HeadCheck()
}
