/// The members with which a host keeps connected, to exchange lists of keys.
///
/// A small fleet is connected all to all. In a larger one each host dials those that follow it, in the order of the
/// names, after 1, 2, 4, 8 … hosts. So a change reaches everybody over as many hosts as the number of members has
/// binary digits, each has about twice as many connections, and there are many ways around a host that is down.
package enum FleetNeighbours {
  /// The most members of a fleet that is connected all to all.
  package static let fullMesh = 16

  /// Returns the members that a host dials.
  ///
  /// - Parameters:
  ///   - name: the name of the host, a member or not.
  ///   - members: the names of all members.
  package static func names(of name: String, among members: some Collection<String>) -> Set<String>
  {
    let others = members.filter { $0 != name }.sorted {
      $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
    guard others.count >= fullMesh else { return Set(others) }
    let own = others.firstIndex { name.utf8.lexicographicallyPrecedes($0.utf8) } ?? 0
    var names: Set<String> = []
    var distance = 1
    while distance <= others.count {
      names.insert(others[(own + distance - 1) % others.count])
      distance *= 2
    }
    return names
  }
}
