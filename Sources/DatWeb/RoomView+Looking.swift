internal import DatCoding
public import HypercoreCrypto
public import Saga

// The data of a page: the whole state, changes, pages of the history, search, export.
extension RoomView {
  /// Returns the changes since a revision of the given run; the whole state if that is unknown, of
  /// another run, or too long ago.
  func update(since: Int?, run pageRun: String?) async -> Wire.Update {
    // Changes while the room is being asked are part of the next update as well.
    let revision = revision
    guard let since, pageRun == run, since <= revision, let ids = changes.ids(since: since),
      ids.count <= 2 * Limits.page
    else { return await whole(revision) }
    let parts = parts
    var update = Wire.Update(run: run, revision: revision, isWhole: false, total: 0)
    let horizon = horizon
    for id in ids {
      if let message = await source.message(id) {
        guard message.place < horizon else { continue }
        update.messages = (update.messages ?? []) + [wire(message)]
      } else {
        update.removed = (update.removed ?? []) + [Wire.Name(id)]
      }
    }
    if parts.me > since { update.me = me }
    if parts.people > since { update.people = await people() }
    if parts.requests > since { update.requests = requestList }
    if parts.notices > since { update.notices = noticeList }
    if parts.problem > since { update.problem = problem }
    if parts.fork > since { update.fork = fork.map(Wire.Fork.init) }
    update.loaded = parts.loaded > since ? loaded ?? 100 : nil
    update.ahead = await source.messageCount(after: horizon, without: muted)
    update.total = await source.messageCount
    return update
  }

  private func whole(_ revision: Int) async -> Wire.Update {
    let page = await page(.newest, limit: Limits.firstPage)
    var update = Wire.Update(run: run, revision: revision, isWhole: true, total: 0)
    update.total = await source.messageCount
    update.isStart = page?.isStart ?? true
    update.messages = page?.messages ?? []
    update.ahead = await source.messageCount(after: horizon, without: muted)
    update.me = me
    update.people = await people()
    update.room = await room()
    update.requests = requestList
    update.notices = noticeList
    update.fork = fork.map(Wire.Fork.init)
    update.loaded = loaded ?? 100
    return update
  }

  /// Returns a message in the form that a page receives.
  func wire(_ message: Message, listed: Int = Limits.listedText) -> Wire.Message {
    Wire.Message(message, delivery: delivery(of: message), listed: listed)
  }

  private var me: Wire.Me? {
    identity.map {
      let name = Self.cut($0.username)
      return Wire.Me(
        key: $0.own.hex, name: name, look: Wire.Look(name), isAuthorized: isAuthorized)
    }
  }

  private func room() async -> Wire.Room? {
    guard let identity else { return nil }
    return Wire.Room(
      key: identity.room.hex, maker: maker(await source.authors), asks: identity.asks)
  }

  /// Returns the name of the room's maker: the room's key is that of the maker's feed.
  private func maker(_ authors: [Author]) -> String? {
    guard let identity else { return nil }
    if identity.own == identity.room { return Self.cut(identity.username) }
    let author = authors.first { $0.feed == identity.room }
    let name = author?.username ?? presence.people[identity.room]?.person.username
    return name.map(Self.cut)
  }

  /// Returns everybody but the user: first those who are here, by name; then the others, the latest first.
  private func people() async -> [Wire.Person] {
    var list: [PublicKey: Wire.Person] = [:]
    for author in await source.authors where author.feed != identity?.own {
      let name = Self.cut(author.username)
      list[author.feed] = Wire.Person(
        key: author.feed.hex, name: name, look: Wire.Look(name), isHere: false,
        isMuted: muted.contains(author.feed), since: author.last, messages: author.messages)
    }
    for (key, known) in presence.people where key != identity?.own {
      // A name that a feed has signed is worth more than one of a handshake, which anybody can make.
      let name = list[key]?.name ?? Self.cut(known.person.username)
      list[key] = Wire.Person(
        key: key.hex, name: name, look: Wire.Look(name), isHere: known.isHere,
        isMuted: muted.contains(key), isProven: known.isHere ? known.person.isProven : nil,
        since: known.since, messages: list[key]?.messages ?? 0)
    }
    return list.values.sorted { left, right in
      if left.isHere != right.isHere { return left.isHere }
      if left.isHere {
        return (ForeignText(left.name), left.key) < (ForeignText(right.name), right.key)
      }
      return (left.since, left.key) > (right.since, right.key)
    }
  }

  private var requestList: [Wire.Request] {
    (requests.list.filter(\.isProven) + requests.list.filter { !$0.isProven }).map {
      let name = Self.cut($0.username)
      return Wire.Request(
        key: $0.key.hex, name: name, look: Wire.Look(name), time: $0.timestamp,
        isProven: $0.isProven, address: $0.isProven ? nil : $0.address)
    }
  }

  private var noticeList: [Wire.Notice] {
    presence.notices.map {
      let name = Self.cut($0.username)
      return Wire.Notice(
        id: $0.id, kind: $0.kind.rawValue, time: $0.time, key: $0.key.hex,
        name: name, look: Wire.Look(name), detail: $0.detail)
    }
  }

  private static func cut(_ name: String) -> String {
    VisibleText.prefix(name, bytes: Limits.name)
  }

  // MARK: History

  /// Returns a page of the history; nil if it is to be around a message that is not there.
  func page(_ position: PagePosition, limit: Int) async -> Wire.Page? {
    let horizon = horizon
    let isNewest = position == .newest
    guard
      let page = await source.page(isNewest ? .before(horizon) : position, limit: limit)
    else { return nil }
    // Messages that a page asks for are shown whatever their time.
    var isAround = false
    if case .around = position { isAround = true }
    let shown = isAround ? page.messages : page.messages.filter { $0.place < horizon }
    return Wire.Page(
      messages: shown.map { wire($0) }, isStart: page.isStart,
      isEnd: isNewest || page.isEnd || shown.count < page.messages.count)
  }

  /// Returns one message with as much of its text as is ever shown.
  func message(_ id: Message.ID) async -> Wire.Message? {
    await source.message(id).map { wire($0, listed: Limits.shownText) }
  }

  /// Returns the newest messages before a place whose text or name contains the query, ignoring case and
  /// accents.
  func search(_ query: String, before place: Message.Place?, limit: Int) async -> Wire.SearchResult
  {
    var result = Wire.SearchResult(found: [], isMore: false)
    guard let pattern = SearchPattern(query) else { return result }
    let found = await source.search(query, before: place, without: muted, limit: limit + 1)
    result.isMore = found.count > limit
    result.found = found.prefix(limit).map {
      Wire.Found(message: wire($0, listed: 0), excerpt: Self.excerpt($0.text, pattern))
    }
    return result
  }

  /// Returns some 60 bytes before and 120 after the beginning of the match, or of the text.
  private static func excerpt(_ text: String, _ pattern: SearchPattern) -> String {
    let bytes = text.utf8
    let middle = pattern.firstMatch(in: text) ?? 0
    var start = bytes.index(bytes.startIndex, offsetBy: max(0, middle - 60))
    // From the beginning of a scalar to the end of one.
    while start < bytes.endIndex, start.samePosition(in: text.unicodeScalars) == nil {
      start = bytes.index(after: start)
    }
    let rest = text[start...]
    let excerpt = VisibleText.prefix(String(rest), bytes: 240)
    return (start > text.startIndex ? "…" : "") + excerpt
      + (excerpt.utf8.count < rest.utf8.count ? "…" : "")
  }

  /// The room in a few words; nil before it is open.
  public var overview: RoomOverview? {
    get async {
      guard let identity else { return nil }
      return RoomOverview(
        key: identity.room, maker: maker(await source.authors),
        messages: await source.messageCount, unread: await unread,
        last: await source.latestMessage(before: horizon, without: muted))
    }
  }

  /// The room in the form of the start view.
  var summary: Wire.RoomSummary? {
    get async {
      guard let identity else { return nil }
      let last = await source.latestMessage(before: horizon, without: muted)
      return Wire.RoomSummary(
        key: identity.room.hex, maker: maker(await source.authors),
        last: last.map { wire($0, listed: 200) }, unread: await unread,
        here: presence.people.values.count { $0.isHere }, requests: requests.list.count)
    }
  }
}

/// A room in a few words.
public struct RoomOverview: Sendable {
  /// The room's key.
  public let key: PublicKey
  /// The name of its maker, if that is known.
  public let maker: String?
  /// The number of messages.
  public let messages: Int
  /// The number of messages of others after the last one that was seen.
  public let unread: Int
  /// The newest message of an author who isn't muted.
  public let last: Message?
}
