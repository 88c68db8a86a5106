/// An HTTP request to a hub. Names are bytes, with percent escapes resolved.
package enum HubRequest: Hashable {
  /// An event stream of some channels.
  case listen(application: [UInt8], channels: Set<[UInt8]>)
  /// A message for a channel.
  case say(application: [UInt8], channel: [UInt8])
  /// A CORS preflight request.
  case preflight
  /// Name, version and number of subscribers.
  case about
  /// A file of the page, as a path without a leading slash.
  case page([UInt8])
  /// A WebSocket of an application.
  case socket(application: [UInt8])
  case unknown

  /// - Parameters:
  ///   - method: the method, such as `GET`.
  ///   - target: the path as it was sent, possibly with a query.
  ///   - hasPage: true if a page is served: it gets paths that are not the hub's.
  package init(method: some Collection<UInt8>, target: some Collection<UInt8>, hasPage: Bool) {
    let path = Array(target.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
    if method.elementsEqual("OPTIONS".utf8) {
      self = .preflight
      return
    }
    let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true).map(
      Array.init)
    let isGet = method.elementsEqual("GET".utf8) || method.elementsEqual("HEAD".utf8)
    if parts.count == 3, parts[0].elementsEqual("v1".utf8),
      let application = Self.decoded(parts[1])
    {
      if method.elementsEqual("POST".utf8), let channel = Self.decoded(parts[2]) {
        self = .say(application: application, channel: channel)
        return
      }
      let names = parts[2].split(separator: UInt8(ascii: ",")).compactMap {
        Self.decoded(Array($0))
      }
      if isGet, !names.isEmpty {
        self = .listen(application: application, channels: Set(names))
        return
      }
    }
    switch (isGet, hasPage, parts.isEmpty) {
    case (true, true, _):
      self =
        Self.decoded(Array(path.drop { $0 == UInt8(ascii: "/") })).map { .page($0) } ?? .unknown
    case (true, false, true): self = .about
    default: self = .unknown
    }
  }

  /// Returns the application of a WebSocket: the last part of its path.
  static func application(ofSocket target: some Collection<UInt8>) -> [UInt8]? {
    let path = Array(target.prefix { $0 != UInt8(ascii: "?") })
    return path.split(separator: UInt8(ascii: "/")).last.flatMap { decoded(Array($0)) }
  }

  /// Returns text with its percent escapes resolved; nil if one is malformed.
  package static func decoded(_ text: [UInt8]) -> [UInt8]? {
    func digit(_ byte: UInt8) -> UInt8? {
      switch byte {
      case 0x30...0x39: byte - 0x30
      case 0x41...0x46: byte - 0x37
      case 0x61...0x66: byte - 0x57
      default: nil
      }
    }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      if text[index] == UInt8(ascii: "%") {
        guard index + 2 < text.count, let high = digit(text[index + 1]),
          let low = digit(text[index + 2])
        else { return nil }
        result.append(high << 4 | low)
        index += 3
      } else {
        result.append(text[index])
        index += 1
      }
    }
    return result
  }
}
