/// Which extensions both sides speak. A message names one by its place in the sender's own list.
struct ExtensionTable {
  /// This side's names in the order in which they are announced.
  let localNames: [String]
  private let localPlaces: [String: Int]
  /// This side's name for each place of the remote's list, where there is one; nil before the
  /// remote's Handshake.
  private var remoteNames: [String?]?

  /// What a received place stands for.
  enum Lookup: Equatable {
    case name(String)
    /// The remote announced a name that isn't spoken here, or has announced nothing yet.
    case notShared
    case outOfRange
  }

  /// - Parameter names: sorted and freed of repetitions here. The reference finds common names only
  ///   in lists that are sorted as JavaScript sorts, by UTF-16 code units.
  init(_ names: [String]) {
    var sorted: [String] = []
    for name in names.sorted(by: { $0.utf16.lexicographicallyPrecedes($1.utf16) })
    where sorted.last.map({ Array($0.utf8) != Array(name.utf8) }) ?? true {
      sorted.append(name)
    }
    localNames = sorted
    // Names that differ only in Unicode composition count as one: the first stays.
    localPlaces = Dictionary(
      sorted.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The place under which a name is sent.
  func place(of name: String) -> Int? { localPlaces[name] }

  /// Whether the remote announced the name.
  func remoteSupports(_ name: String) -> Bool {
    remoteNames?.contains { $0 == name } ?? false
  }

  /// Takes the remote's list, as bytes: names that are not UTF-8 match nothing.
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
