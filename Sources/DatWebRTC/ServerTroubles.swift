/// A STUN or TURN server that helps peers to reach this side.
package struct HelpingServer: Hashable, Sendable, CustomStringConvertible {
  /// True if it relays, as a TURN server; otherwise it says which address it sees.
  var relays: Bool
  /// Its address.
  var address: TransportAddress

  /// The result of asking it.
  package enum Outcome: Hashable, Sendable {
    /// It serves us.
    case serves
    /// Nothing came within ten seconds.
    case silent
    /// It refuses, with an error code of STUN's.
    case refused(Int)

    init(_ outcome: CInt) {
      self = outcome == 0 ? .serves : outcome > 0 ? .refused(Int(outcome)) : .silent
    }
  }

  package var description: String {
    "The \(relays ? "TURN" : "STUN") server \(address)"
  }
}

#if WebRTC
  /// The troubles with STUN and TURN servers, for all topics together.
  @WebRTCActor
  final class ServerTroubles {
    private var troubles: [HelpingServer: String] = [:]

    nonisolated init() {}

    /// One sentence a server, in a fixed order.
    var standing: [String] {
      troubles.values.sorted { Array($0.utf8).lexicographicallyPrecedes($1.utf8) }
    }

    /// Takes what a server said.
    ///
    /// - Returns: a sentence if that is news: once, until the server has served us again.
    func heard(of server: HelpingServer, _ outcome: HelpingServer.Outcome) -> String? {
      let before = troubles[server]
      troubles[server] =
        switch outcome {
        case .serves: nil
        case .silent:
          "\(server) has not answered: look whether that is its address, and whether it runs."
        case .refused(401), .refused(403), .refused(441):
          "\(server) refuses the account: look at its name and password."
        case .refused(let code): "\(server) refuses to relay, with code \(code)."
        }
      return before == nil ? troubles[server] : nil
    }
  }
#endif
