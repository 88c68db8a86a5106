/// The losses that peers have to restore before the feed may be written again.
struct Damage {
  /// The length that the feed has to reach again.
  var length: UInt64
  /// The blocks that have to be stored again.
  var lost: [Range<UInt64>]

  var reason: String {
    var parts: [String] = []
    if !lost.isEmpty {
      let count = Words.count(lost)
      parts.append("\(count) of its blocks \(count == 1 ? "is" : "are") missing")
    }
    parts.append("it was signed up to length \(length) before")
    return "The feed is read-only until peers have restored it: "
      + parts.joined(separator: ", and ")
      + ". Writing now could fork it."
  }
}
