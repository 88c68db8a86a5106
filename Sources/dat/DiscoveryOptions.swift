internal import ArgumentParser
internal import DatDHT
internal import DatSwarm
internal import Foundation

/// The ways of finding the peers of a room, besides given addresses.
struct DiscoveryOptions: ParsableArguments {
  @Flag(
    inversion: .prefixedNo,
    help:
      "Find peers on the local network. The default, unless --listen or --connect says where they are."
  )
  var lan: Bool?

  @Option(
    help: ArgumentHelp(
      "On the local network use only this interface; may be repeated.", valueName: "name"))
  var interface: [String] = []

  @Option(
    help: ArgumentHelp(
      "Find peers through this server, see `dat rendezvous`; may be repeated.",
      valueName: "host:port"))
  var rendezvous: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: ArgumentHelp(
      "Find peers through the BitTorrent DHT, which shows your address to everybody who asks there.",
      discussion: "Without this a terminal asks, once for each room."))
  var dht: Bool?

  @Option(
    help: ArgumentHelp(
      "Enter the DHT by this node; may be repeated.", valueName: "host:port"))
  var dhtBootstrap: [String] = []

  @Flag(help: "Show what is found, tried and refused.")
  var verbose = false

  /// Returns the requested sources.
  ///
  /// - Parameters:
  ///   - hasAddresses: true if the user gave addresses of peers.
  ///   - folder: the room's folder; nil for none.
  ///   - mayAsk: true if a person is there to answer.
  func sources(hasAddresses: Bool, folder: String?, mayAsk: Bool) throws -> [any PeerSource] {
    var sources: [any PeerSource] = []
    if lan ?? !hasAddresses {
      var options = LANSource.Options()
      if !interface.isEmpty { options.interfaces = Set(interface) }
      sources.append(LANSource(options: options))
    }
    if !rendezvous.isEmpty {
      sources.append(
        RendezvousSource(servers: try rendezvous.map { try PeerAddress(parsing: $0) }))
    }
    if wantsDHT(hasAddresses, folder, mayAsk) { sources.append(try mainline(folder)) }
    return sources
  }

  private func wantsDHT(_ hasAddresses: Bool, _ folder: String?, _ mayAsk: Bool) -> Bool {
    if let dht { return dht }
    #if DHT
      guard !hasAddresses, let folder else { return false }
      return DHTConsent(folder: folder).isGiven(mayAsk: mayAsk)
    #else
      return false
    #endif
  }

  private func mainline(_ folder: String?) throws -> any PeerSource {
    #if DHT
      var options = MainlineDHT.Options()
      if !dhtBootstrap.isEmpty {
        options.bootstrap = try dhtBootstrap.map { try PeerAddress(parsing: $0) }
      }
      options.mapsPorts = true
      options.stateFile = folder.map { $0 + "/dht" }
      return try MainlineDHT(options)
    #else
      throw ValidationError("This dat was built without the DHT.")
    #endif
  }
}

/// The consent to search for a room in the DHT: asked for once, and remembered in the room's folder.
struct DHTConsent {
  let folder: String

  private var file: String { folder + "/dht-consent" }

  /// - Parameter mayAsk: true if a person is there to answer; otherwise nothing is remembered.
  func isGiven(mayAsk: Bool) -> Bool {
    if let answer = try? String(contentsOfFile: file, encoding: .utf8) {
      return answer.hasPrefix("yes")
    }
    guard mayAsk, isatty(STDIN_FILENO) == 1, StandardStreams.isOutputTerminal else { return false }
    StandardStreams.write(
      """
      Look for peers through the BitTorrent DHT as well? They are found all over the internet then, and \
      everybody who asks there about this room learns your address. [y/N] 
      """)
    guard let line = readLine() else { return false }
    let isYes = ["y", "yes"].contains(line.trimmingCharacters(in: .whitespaces).lowercased())
    // An answer that can't be stored is asked for again.
    try? PrivateFile.write(
      Data((isYes ? "yes\n" : "no\n").utf8), to: URL(fileURLWithPath: file))
    return isYes
  }
}
