internal import DatCoding
internal import DatDNS
public import DatSwarm
internal import Foundation

/// The directory that names the members of a fleet.
public enum FleetDirectory: Hashable, Sendable, CustomStringConvertible {
  /// A file with a name a line, an address after it if that is not the name at Dat's port, and `#` before comments.
  case file(String)
  /// The SRV records of a name (RFC 2782). A member's name is the target of its record, in lower case.
  ///
  /// The servers are those of the system's settings, unless some are given.
  case service(String, servers: [PeerAddress] = [])

  /// The port of a member whose address the directory does not have.
  static let usualPort = 3282
  /// The most bytes of a file.
  private static let fileLimit = 1 << 20
  /// The most members, as of an answer to a question for SRV records.
  static let maximumMembers = ServiceLookup.maximumHosts

  /// Reads `srv:NAME`, `srv:NAME@SERVER` with the address of a DNS server and a port unless that is 53, or the path of a
  /// file.
  ///
  /// - Throws: ``HostError`` with `malformedFile` for what can't be asked for.
  public init(parsing text: String) throws(HostError) {
    let bytes = Array(text.utf8)
    guard bytes.starts(with: "srv:".utf8) else {
      self = .file(text)
      return
    }
    let parts = bytes.dropFirst(4).split(
      separator: UInt8(ascii: "@"), maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(decoding: parts[0], as: UTF8.self)
    guard ServiceLookup(name, id: 0) != nil else {
      throw HostError(
        .malformedFile,
        "\"\(ForeignText(text).line(limit: 80))\" names no SRV records: write srv: and a whole name, such as "
          + "srv:_dat._tcp.hosts.example.org.")
    }
    guard parts.count == 2 else {
      self = .service(name)
      return
    }
    self = .service(name, servers: [try Self.server(String(decoding: parts[1], as: UTF8.self))])
  }

  private static func server(_ text: String) throws(HostError) -> PeerAddress {
    let bare = PeerAddress(host: text, port: DNSExchange.port)
    if bare.isNumeric { return bare }
    if let address = try? PeerAddress(parsing: text), address.isNumeric { return address }
    throw HostError(
      .malformedFile,
      "\"\(ForeignText(text).line(limit: 80))\" is no address of a DNS server: write its number, such as 127.0.0.1:8600."
    )
  }

  /// The form that `init(parsing:)` reads.
  public var description: String {
    switch self {
    case .file(let path): path
    case .service(let name, let servers): "srv:\(name)" + (servers.first.map { "@\($0)" } ?? "")
    }
  }

  /// Returns a member's name as the directory has it: in lower case and without a dot at its end for SRV records.
  func memberName(_ name: String) -> String {
    guard case .service = self else { return name }
    var bytes = name.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
    if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Asking

  /// The members that a directory names.
  struct Answer: Hashable, Sendable {
    /// By name, the address.
    var members: [String: PeerAddress]
    /// The seconds for which the answer holds, if it says so.
    var seconds: UInt32?
  }

  /// Asks for all members.
  ///
  /// - Throws: ``HostError`` with `malformedFile` and a sentence if there is no complete answer.
  func look() async throws(HostError) -> Answer {
    switch self {
    case .file(let path):
      guard let handle = FileHandle(forReadingAtPath: path) else {
        throw HostError(.malformedFile, "The fleet's file \(path) can't be read.")
      }
      defer { try? handle.close() }
      guard let data = try? handle.read(upToCount: Self.fileLimit + 1), data.count <= Self.fileLimit
      else { throw HostError(.malformedFile, "The fleet's file \(path) can't be read.") }
      return Answer(members: try Self.members(in: data))
    case .service(let name, let servers):
      let (hosts, seconds) = try await DNSExchange.hosts(of: name, servers: servers)
      let members = hosts.map {
        ($0.target, PeerAddress(host: $0.address ?? $0.target, port: Int($0.port)))
      }
      return Answer(
        members: Dictionary(members, uniquingKeysWith: { one, _ in one }), seconds: seconds)
    }
  }

  /// Reads a list of members: a name a line, and an address after it.
  static func members(in bytes: some Collection<UInt8>) throws(HostError) -> [String: PeerAddress] {
    var members: [String: PeerAddress] = [:]
    for (number, line) in TextLines.all(Array(bytes)).enumerated() {
      func malformed(_ sentence: String) -> HostError {
        HostError(.malformedFile, "Line \(number + 1) of the fleet's file \(sentence)")
      }
      let words = line.prefix { $0 != UInt8(ascii: "#") }.split { $0 <= 0x20 }
      guard let first = words.first else { continue }
      guard words.count <= 2, first.count <= 255, words.allSatisfy({ $0.count <= 262 }),
        let name = String(validating: first, as: UTF8.self)
      else { throw malformed("is no name with an address after it.") }
      var address = PeerAddress(host: name, port: usualPort)
      if words.count == 2 {
        guard let text = String(validating: words[1], as: UTF8.self),
          let given = try? PeerAddress(parsing: text)
        else { throw malformed("has no address after the name: write HOST:PORT.") }
        address = given
      }
      guard members.updateValue(address, forKey: name) == nil else {
        throw malformed("names a host for the second time.")
      }
      guard members.count <= maximumMembers else {
        throw malformed("is more than the \(maximumMembers) members that a fleet can have.")
      }
    }
    guard !members.isEmpty else {
      throw HostError(.malformedFile, "The fleet's file names no host.")
    }
    return members
  }
}
