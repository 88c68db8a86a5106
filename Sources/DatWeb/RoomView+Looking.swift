internal import Foundation
public import HypercoreCrypto
internal import Saga

// What a page is told: the whole state, what changed, pages of the history, search, export.
extension RoomView {
  /// What changed since a revision of the given run; the whole state where that is unknown, of
  /// another run, or too long ago.
  func update(since: Int?, run pageRun: String?) -> Wire.Update {
    guard let since, pageRun == run, since <= revision, let changes = log.changes(since: since),
      changes.entries.count <= 2 * Limits.page
    else { return whole() }
    var update = Wire.Update(run: run, revision: revision, isWhole: false, total: log.count)
    if !changes.entries.isEmpty { update.messages = changes.entries.map { Wire.Message($0) } }
    if !changes.removed.isEmpty { update.removed = changes.removed }
    if parts.me > since { update.me = me }
    if parts.people > since { update.people = people }
    if parts.requests > since { update.requests = requestList }
    if parts.notices > since { update.notices = noticeList }
    if parts.problem > since { update.problem = problem }
    if parts.fork > since { update.fork = fork.map(Wire.Fork.init) }
    return update
  }

  private func whole() -> Wire.Update {
    let page = sortedLog.page(before: nil, limit: Limits.firstPage)
    var update = Wire.Update(run: run, revision: revision, isWhole: true, total: log.count)
    update.isStart = page.startIndex == 0
    update.messages = page.map { Wire.Message($0) }
    update.me = me
    update.room = room
    update.people = people
    update.requests = requestList
    update.notices = noticeList
    update.fork = fork.map(Wire.Fork.init)
    return update
  }

  private var me: Wire.Me? {
    identity.map {
      Wire.Me(key: $0.own.hex, name: Self.cut($0.username), isAuthorized: isAuthorized)
    }
  }

  private var room: Wire.Room? {
    identity.map { Wire.Room(key: $0.room.hex, maker: maker, asks: $0.asks) }
  }

  /// The name of whoever made the room: the room's key is that of the maker's feed.
  private var maker: String? {
    guard let identity else { return nil }
    if identity.own == identity.room { return Self.cut(identity.username) }
    let name = authors[identity.room]?.username ?? presence.people[identity.room]?.person.username
    return name.map(Self.cut)
  }

  /// Everybody but ourselves: here first, by name; then who was, the last one first.
  private var people: [Wire.Person] {
    var list: [PublicKey: Wire.Person] = [:]
    for (key, author) in authors where key != identity?.own {
      list[key] = Wire.Person(
        key: key.hex, name: Self.cut(author.username), isHere: false,
        isMuted: muted.contains(key), since: author.last, messages: author.messages)
    }
    for (key, known) in presence.people where key != identity?.own {
      list[key] = Wire.Person(
        // What a feed has signed says more than a handshake, which anybody can make.
        key: key.hex, name: Self.cut(authors[key]?.username ?? known.person.username),
        isHere: known.isHere,
        isMuted: muted.contains(key), since: known.since, messages: list[key]?.messages ?? 0)
    }
    return list.values.sorted { left, right in
      if left.isHere != right.isHere { return left.isHere }
      if left.isHere { return (left.name, left.key) < (right.name, right.key) }
      return (left.since, left.key) > (right.since, right.key)
    }
  }

  private var requestList: [Wire.Request] {
    requests.map {
      Wire.Request(key: $0.key.hex, name: Self.cut($0.username), time: $0.timestamp)
    }
  }

  private var noticeList: [Wire.Notice] {
    presence.notices.map {
      Wire.Notice(
        id: $0.id, kind: $0.kind.rawValue, time: $0.time, key: $0.key.hex,
        name: Self.cut($0.username), detail: $0.detail)
    }
  }

  private static func cut(_ name: String) -> String {
    VisibleText.prefix(name, bytes: Limits.name)
  }

  // MARK: History

  enum Place: Sendable {
    case newest
    case oldest
    case before(Cursor)
    case after(Cursor)
    /// The message of this key in the middle.
    case around(String)
  }

  /// A page of the history; nil when it is to be around a message that is not there.
  func page(_ place: Place, limit: Int) -> Wire.Page? {
    let log = sortedLog
    let slice: ArraySlice<MessageLog.Entry>
    switch place {
    case .newest: slice = log.page(before: nil, limit: limit)
    case .oldest: slice = log.page(after: nil, limit: limit)
    case .before(let cursor): slice = log.page(before: cursor, limit: limit)
    case .after(let cursor): slice = log.page(after: cursor, limit: limit)
    case .around(let key):
      guard let entry = log[key] else { return nil }
      let index = log.firstIndex(notBefore: entry.cursor)
      slice =
        log.entries[
          max(0, index - limit / 2)..<min(log.count, index + max(1, limit - limit / 2))]
    }
    return Wire.Page(
      messages: slice.map { Wire.Message($0) }, isStart: slice.startIndex == 0,
      isEnd: slice.endIndex == log.count)
  }

  /// One message with as much of its text as is ever shown.
  func message(_ key: String) -> Wire.Message? {
    log[key].map { Wire.Message($0, listed: Limits.shownText) }
  }

  /// The newest messages before a place whose text or name holds what is looked for, without
  /// regard to case and accents.
  func search(_ query: String, before cursor: Cursor?, limit: Int) -> Wire.SearchResult {
    var result = Wire.SearchResult(found: [], isMore: false)
    let log = sortedLog
    let end = cursor.map(log.firstIndex(notBefore:)) ?? log.count
    for entry in log.entries[..<end].reversed() where !muted.contains(entry.message.feed) {
      let text = entry.message.text
      let range = text.range(of: query, options: [.caseInsensitive, .diacriticInsensitive])
      let isByName =
        range == nil
        && entry.message.username.range(
          of: query, options: [.caseInsensitive, .diacriticInsensitive]) != nil
      guard range != nil || isByName else { continue }
      if result.found.count == limit {
        result.isMore = true
        break
      }
      result.found.append(
        Wire.Found(
          message: Wire.Message(entry, listed: 0), excerpt: Self.excerpt(text, around: range)))
    }
    return result
  }

  /// Some 60 characters before and 120 after the beginning of a range.
  private static func excerpt(_ text: String, around range: Range<String.Index>?) -> String {
    let middle = range?.lowerBound ?? text.startIndex
    let start = text.index(middle, offsetBy: -60, limitedBy: text.startIndex) ?? text.startIndex
    let end = text.index(middle, offsetBy: 120, limitedBy: text.endIndex) ?? text.endIndex
    let excerpt = VisibleText.prefix(String(text[start..<end]), bytes: 2_048)
    return (start > text.startIndex ? "…" : "") + excerpt + (end < text.endIndex ? "…" : "")
  }

  /// The room in a few words; nil before it is open.
  public var overview: RoomOverview? {
    guard let identity else { return nil }
    return RoomOverview(
      key: identity.room, maker: maker, messages: log.count, unread: unread,
      last: sortedLog.entries.last { !muted.contains($0.message.feed) }?.message)
  }

  /// What the start view tells about the room.
  var summary: Wire.RoomSummary? {
    guard let identity else { return nil }
    let last = sortedLog.entries.last { !muted.contains($0.message.feed) }
    return Wire.RoomSummary(
      key: identity.room.hex, maker: maker, last: last.map { Wire.Message($0, listed: 200) },
      unread: unread, here: presence.people.values.count { $0.isHere }, requests: requests.count)
  }
}

/// A room in a few words.
public struct RoomOverview: Sendable {
  /// The room's key.
  public let key: PublicKey
  /// The name of whoever made it, where that is known.
  public let maker: String?
  /// How many messages there are.
  public let messages: Int
  /// How many of others came after what was seen last.
  public let unread: Int
  /// The newest message of somebody who isn't muted.
  public let last: ChatMessage?
}
