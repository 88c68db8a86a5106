/// A page in Prometheus' text format, parsed according to its description.
public struct PrometheusPage {
  /// The kind of each metric, by its name.
  public private(set) var kinds: [String: String] = [:]
  /// The number of each series, by name and labels: `name{a=1,b=2}` with unescaped values of the
  /// labels.
  public private(set) var values: [String: Double] = [:]

  public struct Malformed: Error {
    public let line: String
  }

  /// - Throws: ``Malformed`` with the first line that breaks the format.
  public init(_ text: String) throws {
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
      let words = line.split(separator: " ")
      if line.hasPrefix("# TYPE ") {
        guard words.count == 4, kinds[String(words[2])] == nil else {
          throw Malformed(line: String(line))
        }
        kinds[String(words[2])] = String(words[3])
        continue
      }
      guard let last = words.last, let number = last == "+Inf" ? .infinity : Double(last) else {
        throw Malformed(line: String(line))
      }
      let series = try Self.series(line.dropLast(last.count + 1), line)
      guard values[series] == nil else { throw Malformed(line: String(line)) }
      values[series] = number
    }
    guard text.isEmpty || text.hasSuffix("\n") else { throw Malformed(line: "no end of line") }
  }

  private static func series(_ text: Substring, _ line: Substring) throws -> String {
    let name = text.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" }
    var rest = text.dropFirst(name.count)
    guard let first = name.first, !first.isNumber else { throw Malformed(line: String(line)) }
    if rest.isEmpty { return String(name) }
    guard rest.popFirst() == "{", rest.popLast() == "}" else { throw Malformed(line: String(line)) }
    var labels: [String] = []
    while !rest.isEmpty {
      let label = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
      rest = rest.dropFirst(label.count)
      guard !label.isEmpty, rest.popFirst() == "=", rest.popFirst() == "\"" else {
        throw Malformed(line: String(line))
      }
      var value = ""
      while let character = rest.popFirst(), character != "\"" {
        guard character == "\\" else {
          value.append(character)
          continue
        }
        switch rest.popFirst() {
        case "n": value.append("\n")
        case "\\": value.append("\\")
        case "\"": value.append("\"")
        default: throw Malformed(line: String(line))
        }
      }
      labels.append("\(label)=\(value)")
      if !rest.isEmpty, rest.popFirst() != "," { throw Malformed(line: String(line)) }
    }
    return "\(name){\(labels.joined(separator: ","))}"
  }
}
