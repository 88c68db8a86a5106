internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// The meaning of a line typed into a room.
enum ChatLine: Hashable, Sendable {
  case message(String)
  case command(Command, String)
  /// A `/word` that is no command.
  case unknown(String)
  case nothing

  /// The commands that can be given with a slash.
  enum Command: String, CaseIterable, Sendable {
    case who, key, search, edit, delete, accept, refuse, mute, unmute, help, leave

    /// The words that stand behind it.
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
    let text = text.trimmingCharacters(in: .whitespaces)
    guard text.hasPrefix("/") else {
      self = text.isEmpty ? .nothing : .message(text)
      return
    }
    if text.hasPrefix("//") {
      self = .message(String(text.dropFirst()))
      return
    }
    let words = text.dropFirst().split(separator: " ", maxSplits: 1)
    let word = words.first.map(String.init) ?? ""
    if let command = Command(rawValue: word) {
      let rest = words.dropFirst().first.map(String.init) ?? ""
      self = .command(command, rest.trimmingCharacters(in: .whitespaces))
    } else {
      self = .unknown(word)
    }
  }

  /// The words that a beginning may become: commands at the start of a line, the names of people
  /// behind a command that takes one and in messages.
  static func completions(
    of word: String, after before: String, names: [String]
  ) -> [String] {
    let before = before.trimmingCharacters(in: .whitespaces)
    if before.isEmpty, word.hasPrefix("/") {
      return Command.allCases.map { "/\($0.rawValue)" }.filter { $0.hasPrefix(word) }
    }
    let isNamed = ["/accept", "/refuse", "/mute", "/unmute"].contains(before)
    guard isNamed || !word.isEmpty else { return [] }
    let fitting = names.filter {
      // What is inserted must be what is seen.
      SafeText.name($0) == $0 && !$0.contains(" ")
        && $0.lowercased().hasPrefix(word.lowercased())
    }
    return Array(Set(fitting)).sorted()
  }
}
