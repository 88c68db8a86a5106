public import HypercoreCrypto
public import Saga

// The data of a page: the whole state, changes, pages of the history, search, export.
extension RoomView {
  /// Returns the changes since a revision of the given run; the whole state if that is unknown, of
  /// another run, or too long ago.
  func update(since: Int?, run pageRun: String?) async -> Wire.Update {
    // Changes while the room is being asked are part of the next update as well.
    let revision = revision
    guard let since, pageRun == run, let changes = state.revisions.changes(since: since),
      changes.messages.count <= 2 * Limits.page
    else { return await whole(revision) }
    var update = Wire.Update(run: run, revision: revision, isWhole: false, total: 0)
    let horizon = horizon
    for id in changes.messages {
      if let message = await source.message(id) {
        guard message.place < horizon else { continue }
        update.messages = (update.messages ?? []) + [wire(message)]
      } else {
        update.removed = (update.removed ?? []) + [Wire.Name(id)]
      }
    }
    let authors = changes.parts.contains(.people) ? await source.authors : []
    for part in changes.parts {
      switch part {
      case .me: update.me = state.me
      case .people: update.people = state.people.list(authors)
      case .requests: update.requests = state.people.requestList
      case .notices: update.notices = state.people.noticeList
      case .problem: update.problem = state.problem
      case .fork: update.fork = state.fork.map(Wire.Fork.init)
      case .loaded: update.loaded = state.loaded ?? 100
      }
    }
    update.ahead = await source.messageCount(after: horizon, without: state.people.muted)
    update.total = await source.messageCount
    return update
  }

  private func whole(_ revision: Int) async -> Wire.Update {
    let page = await page(.newest, limit: Limits.firstPage)
    var update = Wire.Update(run: run, revision: revision, isWhole: true, total: 0)
    update.total = await source.messageCount
    update.isStart = page?.isStart ?? true
    update.messages = page?.messages ?? []
    update.ahead = await source.messageCount(after: horizon, without: state.people.muted)
    let authors = await source.authors
    update.me = state.me
    update.people = state.people.list(authors)
    update.room = state.room(authors)
    update.requests = state.people.requestList
    update.notices = state.people.noticeList
    update.fork = state.fork.map(Wire.Fork.init)
    update.loaded = state.loaded ?? 100
    return update
  }

  /// Returns a message in the form that a page receives.
  func wire(_ message: Message, listed: Int = Limits.listedText) -> Wire.Message {
    Wire.Message(message, delivery: state.delivery(of: message), listed: listed)
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
    let found = await source.search(
      query, before: place, without: state.people.muted, limit: limit + 1)
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
        key: identity.room, maker: state.maker(await source.authors),
        messages: await source.messageCount, unread: await unread,
        last: await source.latestMessage(before: horizon, without: state.people.muted))
    }
  }

  /// The room in the form of the start view.
  var summary: Wire.RoomSummary? {
    get async {
      guard let identity else { return nil }
      let last = await source.latestMessage(before: horizon, without: state.people.muted)
      return Wire.RoomSummary(
        key: identity.room.hex, maker: state.maker(await source.authors),
        last: last.map { wire($0, listed: 200) }, unread: await unread,
        here: state.people.hereCount, requests: state.people.requests.list.count)
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
