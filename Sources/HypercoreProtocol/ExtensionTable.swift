/// The extensions that both sides speak. A message names one by its index in the sender's own list.
struct ExtensionTable {
  /// This side's names in the order in which they are announced.
  let localNames: [String]
  private let localPlaces: [String: Int]
  /// This side's name for each index of the remote's list, or nil if it isn't spoken here. The
  /// array is nil before the remote's Handshake.
  private var remoteNames: [String?]?

  /// The meaning of a received index.
  enum Lookup: Equatable {
    case name(String)
    /// The remote announced a name that isn't spoken here, or has announced nothing yet.
    case notShared
    case outOfRange
  }

  /// - Parameter names: sorted here, without repetitions. The reference finds common names only in
  ///   lists that are sorted as in JavaScript, by UTF-16 code units.
  init(_ names: [String]) {
    var sorted: [String] = []
    for name in names.sorted(by: { $0.utf16.lexicographicallyPrecedes($1.utf16) })
    where sorted.last.map({ Array($0.utf8) != Array(name.utf8) }) ?? true {
      sorted.append(name)
    }
    localNames = sorted
    // Names that differ only in Unicode composition count as one: the first is kept.
    localPlaces = Dictionary(
      sorted.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The index under which a name is sent.
  func place(of name: String) -> Int? { localPlaces[name] }

  /// Returns whether the remote announced the name.
  func remoteSupports(_ name: String) -> Bool {
    remoteNames?.contains { $0 == name } ?? false
  }

  /// Sets the remote's list, as bytes: names that are not UTF-8 match nothing.
  mutating func setRemote(_ names: [[UInt8]]) {
    let byBytes = Dictionary(
      localNames.map { (Array($0.utf8), $0) }, uniquingKeysWith: { first, _ in first })
    remoteNames = names.map { byBytes[$0] }
  }

  func lookup(_ place: UInt64) -> Lookup {
    guard let remoteNames else { return .notShared }
    guard place < UInt64(remoteNames.count) else { return .outOfRange }
    return remoteNames[Int(place)].map { .name($0) } ?? .notShared
  }
}
