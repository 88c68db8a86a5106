internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// What people see of a room in a terminal, or in a pipe as plain text: lines that only ever grow.
struct ChatScreen {
  let output: Output
  /// The feed that is written here.
  private let own: PublicKey
  /// Whose messages are not shown here.
  var muted: Set<PublicKey> = []
  /// The keys that were seen under a name, to tell apart those that look alike.
  private var keys: [String: Set<PublicKey>] = [:]
  private var lastDay = ""
  private var mutedWasTold: Set<PublicKey> = []

  init(output: Output, own: UserData) {
    self.output = output
    self.own = own.key
    learn(own.username, own.key)
  }

  /// A line that is nobody's message.
  func note(_ text: String) { output.line(output.dim(SafeText.line(text))) }

  /// A name, with the beginning of its key where another user goes by one that looks the same.
  func tag(_ name: String, _ key: PublicKey) -> String {
    let shown = SafeText.name(name)
    let isAlone = keys[NameShape.of(name), default: []].subtracting([key]).isEmpty
    return isAlone ? shown : "\(shown) [\(key.hex.prefix(8))]"
  }

  mutating func learn(_ name: String, _ key: PublicKey) {
    let shape = NameShape.of(name)
    // Beyond this nobody can tell them apart anyway; every name shows its key already.
    if keys[shape, default: []].count < 64 { keys[shape, default: []].insert(key) }
  }

  mutating func show(_ event: SagaEvent) {
    switch event {
    case .message(let message): show(message, note: "")
    case .edit(let message): show(message, note: " (edited)")
    case .removal(let message):
      note("\(tag(message.username, message.feed)) took a message back")
    case .conflict(let message):
      note(
        "somebody else wrote over a message of \(tag(message.username, message.feed)); it is not "
          + "shown")
    case .unreadable(_, let feed):
      note(
        "something that feed \(feed.hex.prefix(8)) holds can't be read as a message; it is left out"
      )
    case .authorized: note("you can write in this room now")
    case .request(let user):
      note(
        "\(tag(user.username, user.key)) wants to write: /accept or /refuse \(user.key.hex.prefix(8))"
      )
    case .waiting(let user, let reason):
      note("\(tag(user.username, user.key)) has to wait: \(reason)")
    case .muted(let key, let isMuted):
      if isMuted { muted.insert(key) } else { muted.remove(key) }
    case .forked(let evidence): output.problem(Saga.sentence(for: evidence, own: own))
    case .error(let error): output.problem(error.reason)
    default: break
    }
  }

  mutating func show(_ notice: Presence.Notice) {
    learn(notice.username, notice.key)
    switch notice.kind {
    case .join: note("\(tag(notice.username, notice.key)) joined")
    case .leave: note("\(tag(notice.username, notice.key)) left")
    default: break
    }
  }

  private mutating func show(_ message: Message, note: String) {
    learn(message.username, message.feed)
    if muted.contains(message.feed) {
      if mutedWasTold.insert(message.feed).inserted {
        self.note(
          "\(tag(message.username, message.feed)) is muted here; what they write is not shown "
            + "(/unmute \(message.feed.hex.prefix(8)))")
      }
      return
    }
    let date = Self.date(message)
    let day = date.formatted(Self.style.year().month().day())
    if day != lastDay {
      lastDay = day
      output.line(output.dim("— \(day) —"))
    }
    let time = date.formatted(Self.style.time(includingFractionalSeconds: false)).prefix(5)
    output.line(line(message, at: String(time), note: note))
  }

  /// One message with its date, as the search finds it.
  func showFound(_ message: Message) {
    let date = Self.date(message)
    let time = date.formatted(Self.style.time(includingFractionalSeconds: false)).prefix(5)
    let day = date.formatted(Self.style.year().month().day())
    output.line(line(message, at: "\(day) \(time)", note: ""))
  }

  private func line(_ message: Message, at time: String, note: String) -> String {
    let name = output.name(tag(message.username, message.feed), of: message.feed.bytes)
    // Every line of a message stands under its author.
    let lines = message.text.split(separator: "\n", omittingEmptySubsequences: false).prefix(100)
    let text = lines.map { SafeText.line(String($0)) }.joined(separator: "\n      ")
    return "\(output.dim(time)) \(name): \(text)\(output.dim(note))"
  }

  /// Dates as they are where the command runs.
  private static let style = Date.ISO8601FormatStyle(timeZone: .current)

  /// The time a message claims, within what a calendar can show.
  private static func date(_ message: Message) -> Date {
    Date(timeIntervalSince1970: Double(min(max(message.timestamp, 0), 253_402_300_799_000)) / 1000)
  }
}

/// What names that look alike have in common: letters without case, accents and gaps, and those of
/// other scripts by the Latin ones that they look like.
enum NameShape {
  static func of(_ name: String) -> String {
    var shape = ""
    for scalar in SafeText.name(name).decomposedStringWithCompatibilityMapping.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .nonspacingMark, .enclosingMark, .spaceSeparator, .dashPunctuation,
        .connectorPunctuation:
        continue
      default: break
      }
      for letter in scalar.properties.lowercaseMapping {
        shape.append(lookalikes[letter] ?? letter)
      }
    }
    return shape
  }

  private static let lookalikes: [Character: Character] = [
    "а": "a", "е": "e", "о": "o", "р": "p", "с": "c", "у": "y", "х": "x", "і": "i", "ј": "j",
    "ѕ": "s", "һ": "h", "ԁ": "d", "в": "b", "к": "k", "м": "m", "н": "h", "т": "t", "α": "a",
    "ο": "o", "ν": "v", "ρ": "p", "τ": "t", "ι": "i", "κ": "k", "υ": "u", "ε": "e", "0": "o",
    "1": "i", "l": "i", "ı": "i", "ɑ": "a", "ɡ": "g", ".": "",
  ].compactMapValues { $0.first }
}
