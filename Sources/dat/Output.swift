internal import DatCoding
internal import Hypercore

/// The output of a command: lines for people, or one JSON object a line for programs.
struct Output: Sendable {
  /// True if programs are reading.
  let json: Bool
  /// True if people are reading on a terminal.
  let isTerminal: Bool
  /// True if colours are wanted.
  let colours: Bool
  /// Receives lines for people in place of standard output and standard error: used while a line editor has
  /// the terminal.
  var sink: (@Sendable (String) -> Void)?

  init(json: Bool) {
    self.json = json
    isTerminal = !json && StandardStreams.isOutputTerminal
    colours = isTerminal && StandardStreams.showsColours
  }

  /// Prints text as it is.
  func write(_ text: String) { StandardStreams.write(text) }

  /// Prints a line for people.
  func line(_ text: String) {
    if let sink { sink(text + "\n") } else { StandardStreams.write(text + "\n") }
  }

  /// Prints an object for programs, on one line.
  func object(_ fields: KeyValuePairs<String, JSON>) {
    StandardStreams.write(JSON.object(fields).text + "\n")
  }

  /// Prints bytes as they are.
  func bytes(_ bytes: [UInt8]) { StandardStreams.write(bytes) }

  /// Reports a failure in one sentence on standard error, to people and programs alike.
  func failure(_ text: String) { StandardStreams.complain("dat: \(SafeText.line(text))\n") }

  /// Reports a failure in one sentence.
  func problem(_ text: String) {
    if json {
      object(["event": "error", "message": .string(text)])
    } else if let sink {
      sink("dat: \(SafeText.line(text))\n")
    } else {
      failure(text)
    }
  }

  /// Reports what opening a feed found, a line each on standard error.
  func findings(_ report: RepairReport, of feed: String?) {
    for finding in report.findings {
      failure("\(feed.map { "feed \($0): " } ?? "")\(finding)")
    }
  }

  /// Prints a value for programs, on one line.
  func value(_ value: JSON) { StandardStreams.write(value.text + "\n") }

  func dim(_ text: String) -> String {
    colours && !text.isEmpty ? "\u{1b}[2m\(text)\u{1b}[0m" : text
  }

  func bold(_ text: String) -> String { colours ? "\u{1b}[1m\(text)\u{1b}[0m" : text }

  /// Returns a name in the colour of its owner's key.
  func name(_ name: String, of key: some Sequence<UInt8>) -> String {
    guard colours else { return name }
    let palette = [31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96]
    let sum = key.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffff }
    return "\u{1b}[\(palette[sum % palette.count])m\(name)\u{1b}[0m"
  }
}
