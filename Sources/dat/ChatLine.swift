internal import DatCoding
internal import HypercoreCrypto
internal import Saga

/// The meaning of a line typed into a room.
enum ChatLine: Hashable, Sendable {
  case message(String)
  case command(Command, String)
  /// A `/word` that is not a command.
  case unknown(String)
  case nothing

  /// The commands that can be given with a slash.
  enum Command: String, CaseIterable, Sendable {
    case who, key, search, edit, delete, accept, refuse, mute, unmute, help, leave

    /// The placeholder of its argument.
    var argument: String {
      switch self {
      case .search: " WORDS"
      case .edit: " TEXT"
      case .accept, .refuse, .mute, .unmute: " NAME|KEY"
      default: ""
      }
    }

    var meaning: String {
      switch self {
      case .who: "who is here, and who wrote"
      case .key: "the key to share"
      case .search: "the newest messages with these words"
      case .edit: "put this in place of your newest message"
      case .delete: "take your newest message back"
      case .accept: "let somebody write who asks to"
      case .refuse: "don't let somebody write, and mute them here; another writer may say yes"
      case .mute: "don't show here what somebody writes"
      case .unmute: "show it again"
      case .help: "this list"
      case .leave: "leave, as Ctrl-D and Ctrl-C do"
      }
    }
  }

  /// Reads a line: `/word` is a command, `//` a message that begins with a slash.
  init(_ text: String) {
    let text = ForeignText(text).trimmed
    guard text.starts(with: "/") else {
      self = text.utf8.isEmpty ? .nothing : .message(text.string)
      return
    }
    if text.starts(with: "//") {
      self = .message(text.dropFirst(bytes: 1).string)
      return
    }
    let words = text.dropFirst(bytes: 1).split(separator: UInt8(ascii: " "), limit: 2)
    if let command = Command.allCases.first(where: { ForeignText($0.rawValue) == words[0] }) {
      self = .command(command, words.count > 1 ? words[1].trimmed.string : "")
    } else {
      self = .unknown(words[0].string)
    }
  }

  /// Returns the words that a beginning may be completed to: commands at the start of a line, the names of
  /// people after a command that takes one and in messages.
  static func completions(
    of word: String, after before: String, names: [String]
  ) -> [String] {
    let before = ForeignText(before).trimmed
    let beginning = ForeignText(word).asciiLowercased
    if before.utf8.isEmpty, beginning.starts(with: "/") {
      return Command.allCases.map { "/\($0.rawValue)" }
        .filter { ForeignText($0).starts(with: beginning) }
    }
    let isNamed = [.accept, .refuse, .mute, .unmute].contains { (command: Command) in
      ForeignText("/\(command.rawValue)") == before
    }
    guard isNamed || !word.isEmpty else { return [] }
    let fitting = names.map { ForeignText($0) }.filter {
      // The inserted text must equal the one shown.
      ForeignText(SafeText.name($0.string)) == $0 && !$0.utf8.contains(UInt8(ascii: " "))
        && $0.asciiLowercased.starts(with: beginning)
    }
    return Set(fitting).sorted().map(\.string)
  }
}
