/// Names, labels and numbers in Prometheus' text format.
enum PrometheusText {
  /// Returns a name in which every other character than a letter, a digit, `_` or an allowed `:` is `_`, and which
  /// doesn't begin with a digit.
  static func name(_ text: String, colons: Bool) -> String {
    let name = String(
      text.unicodeScalars.map { scalar in
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": Character(scalar)
        case ":" where colons: Character(scalar)
        default: "_"
        }
      })
    guard let first = name.first else { return "_" }
    return first.isNumber ? "_" + name : name
  }

  /// Returns a label as `name="value"`, with the escapes that the format needs.
  static func label(_ label: String, _ value: String) -> String {
    var text = name(label, colons: false) + "=\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }

  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }

  static func append(
    _ state: Series.State, of kind: Series.Kind, _ key: PrometheusMetrics.Key, to text: inout String
  ) {
    guard case .histogram(let bounds) = kind else {
      text += line(key.name, key.labels, number(state.value))
      return
    }
    var sum: UInt64 = 0
    for (bound, count) in zip(bounds + [.infinity], state.buckets) {
      sum += count
      text += line(
        key.name + "_bucket", key.labels + ["le=\"\(number(bound))\""], String(sum))
    }
    text += line(key.name + "_sum", key.labels, number(state.value))
    text += line(key.name + "_count", key.labels, String(state.count))
  }

  private static func line(_ name: String, _ labels: [String], _ value: String) -> String {
    labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels.joined(separator: ","))} \(value)\n"
  }
}
