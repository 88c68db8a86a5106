internal import DatCoding
internal import HypercoreCrypto
internal import Saga

// The state in the form that a page receives.
extension SharedState {
  /// The user.
  var me: Wire.Me? {
    identity.map {
      let name = Wire.cut($0.username)
      return Wire.Me(
        key: $0.own.hex, name: name, look: Wire.Look(name), isAuthorized: isAuthorized)
    }
  }

  /// Returns the room.
  ///
  /// - Parameter authors: the feeds that wrote messages.
  func room(_ authors: [Author]) -> Wire.Room? {
    identity.map { Wire.Room(key: $0.room.hex, maker: maker(authors), asks: $0.asks) }
  }

  /// Returns the name of the room's maker: the room's key is that of the maker's feed.
  func maker(_ authors: [Author]) -> String? {
    guard let identity else { return nil }
    if identity.own == identity.room { return Wire.cut(identity.username) }
    let author = authors.first { $0.feed == identity.room }
    let name = author?.username ?? people.presence.people[identity.room]?.person.username
    return name.map(Wire.cut)
  }
}

extension RoomPeople {
  /// Returns everybody but the user: first those who are here, by name; then the others, the latest first.
  ///
  /// - Parameter authors: the feeds that wrote messages.
  func list(_ authors: [Author]) -> [Wire.Person] {
    var list: [PublicKey: Wire.Person] = [:]
    for author in authors where author.feed != own {
      let name = Wire.cut(author.username)
      list[author.feed] = Wire.Person(
        key: author.feed.hex, name: name, look: Wire.Look(name), isHere: false,
        isMuted: muted.contains(author.feed), since: author.last, messages: author.messages)
    }
    for (key, known) in presence.people where key != own {
      // A name that a feed has signed is worth more than one of a handshake, which anybody can make.
      let name = list[key]?.name ?? Wire.cut(known.person.username)
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

  /// The requests to write, the proven ones first.
  var requestList: [Wire.Request] {
    (requests.list.filter(\.isProven) + requests.list.filter { !$0.isProven }).map {
      let name = Wire.cut($0.username)
      return Wire.Request(
        key: $0.key.hex, name: name, look: Wire.Look(name), time: $0.timestamp,
        isProven: $0.isProven, address: $0.isProven ? nil : $0.address)
    }
  }

  /// The lines in the conversation that are not messages.
  var noticeList: [Wire.Notice] {
    presence.notices.map {
      let name = Wire.cut($0.username)
      return Wire.Notice(
        id: $0.id, kind: $0.kind.rawValue, time: $0.time, key: $0.key.hex,
        name: name, look: Wire.Look(name), detail: $0.detail)
    }
  }
}

extension Wire {
  /// Returns as much of a name as a page receives.
  static func cut(_ name: String) -> String { VisibleText.prefix(name, bytes: Limits.name) }
}
