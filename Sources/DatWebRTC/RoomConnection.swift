#if WebRTC
  internal import DatSwarm

  /// One connection of a ``SignalRoom`` in the form that a swarm serves.
  final class RoomConnection: PeerConnection {
    let remoteAddress: PeerAddress
    /// True whichever side began: neither has a port that the other could dial.
    let isInbound = true
    private let connection: WebRTCConnection
    private let peer: String
    private let room: SignalRoom
    private let link: SignalAgent.Link

    init(
      _ connection: WebRTCConnection, at address: PeerAddress, peer: String, room: SignalRoom,
      link: SignalAgent.Link
    ) {
      self.connection = connection
      remoteAddress = address
      self.peer = peer
      self.room = room
      self.link = link
    }

    func confirm() { Task { @WebRTCActor [room, link] in room.confirmed(link) } }
    func close() { Task { @WebRTCActor [connection] in connection.close() } }
    func pump(_ stream: some PeerStream) async throws { try await connection.pump(stream) }
    func setAside() { Task { @WebRTCActor [room, peer] in room.setAside(peer, true) } }
    func takeUp() { Task { @WebRTCActor [room, peer] in room.setAside(peer, false) } }
  }
#endif
