internal import DatCoding
internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// The room as people see it in a terminal, or in a pipe as plain text: lines that are only ever added.
struct ChatScreen {
  let output: Output
  /// The feed that is written here.
  private let own: PublicKey
  /// The feeds whose messages are not shown here.
  var muted: Set<PublicKey> = []
  /// The names that were seen, to distinguish those that look alike.
  private var names = NameBook()
  private var lastDay = ""
  private var mutedWasTold: Set<PublicKey> = []
  /// The number of feeds that have lost their place.
  private var gone = 0

  init(output: Output, own: UserData) {
    self.output = output
    self.own = own.key
    learn(own.username, own.key)
  }

  /// Prints a line that is not a message.
  func note(_ text: String) { output.line(output.dim(SafeText.line(text))) }

  /// Returns a name, with the beginning of its key if another user has one that looks the same.
  func tag(_ name: String, _ key: PublicKey) -> String {
    let shown = SafeText.name(name)
    return names.needsKey(ForeignText(name), key) ? "\(shown) [\(Self.short(key))]" : shown
  }

  /// Returns the beginning of a key: 40 bits, for which nobody finds a second key by chance or in a day.
  static func short(_ key: PublicKey) -> String { String(key.hex.prefix(10)) }

  mutating func learn(_ name: String, _ key: PublicKey) { names.learn(ForeignText(name), key) }

  mutating func show(_ event: SagaEvent) {
    switch event {
    case .message(let message): show(message, note: "")
    case .edit(let message): show(message, note: " (edited)")
    case .removal(let message):
      note("\(tag(message.username, message.feed)) took a message back")
    case .unreadable(let id):
      note(
        "something that feed \(Self.short(id.feed)) holds can't be read as a message; it is left "
          + "out")
    case .loading(let done, let all):
      note("reading the room: \(done) of \(all) entries")
    case .authorized: note("you can write in this room now")
    case .request(let user):
      note(
        "\(tag(user.username, user.key))\(Self.standing(user)) wants to write: /accept or /refuse "
          + Self.short(user.key))
    case .waiting(let user, let reason):
      note("\(tag(user.username, user.key)) has to wait: \(reason)")
    case .muted(let key, let isMuted):
      if isMuted { muted.insert(key) } else { muted.remove(key) }
    case .forked(let evidence): output.problem(Saga.sentence(for: evidence, own: own))
    case .feedGone(let key):
      // A writer can bring about many of these.
      gone += 1
      if gone <= Self.goneTold {
        note(
          "feed \(Self.short(key)) has lost its place in this room to others: its messages are no longer part of "
            + "it")
      }
    case .error(let error): output.problem(error.reason)
    default: break
    }
  }

  /// The most feeds whose loss of their place is shown.
  private static let goneTold = 5

  /// Returns the reservations about a request that only claims its key; empty for a proven one.
  static func standing(_ user: UserData) -> String {
    if user.isProven { return "" }
    guard let address = user.address else { return " (unproven)" }
    return " (unproven, from \(SafeText.line(address, limit: 60)))"
  }

  mutating func show(_ notice: Presence.Notice) {
    if notice.kind == .crowd {
      // A line that was printed can't be updated.
      if notice.detail == "1" { note("many people come and go; /who shows who is here") }
      return
    }
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
            + "(/unmute \(Self.short(message.feed)))")
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

  /// Prints one message with its date, as a search result.
  func showFound(_ message: Message) {
    let date = Self.date(message)
    let time = date.formatted(Self.style.time(includingFractionalSeconds: false)).prefix(5)
    let day = date.formatted(Self.style.year().month().day())
    output.line(line(message, at: "\(day) \(time)", note: ""))
  }

  private func line(_ message: Message, at time: String, note: String) -> String {
    let name = output.name(tag(message.username, message.feed), of: message.feed.bytes)
    // Every line of a message is indented under its author.
    let lines = ForeignText(message.text).lines.prefix(100)
    let text = lines.map { $0.line(limit: 4096) }.joined(separator: "\n      ")
    let mark = message.sharesKey ? " (another feed uses the same key)" : ""
    return "\(output.dim(time)) \(name): \(text)\(output.dim(note + mark))"
  }

  /// The format of dates, in the local time zone.
  private static let style = Date.ISO8601FormatStyle(timeZone: .current)

  /// Returns the time that a message claims, within the range of calendars.
  private static func date(_ message: Message) -> Date {
    Date(timeIntervalSince1970: Double(min(max(message.timestamp, 0), 253_402_300_799_000)) / 1000)
  }
}
