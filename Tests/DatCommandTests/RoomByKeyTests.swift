import DatTesting
import Foundation
import Testing

private let obstacle = NetworkNamespaces.obstacle

/// Rooms whose peers are given nothing but the key, on machines of their own.
@Suite(.serialized, .enabled(if: obstacle == nil, Comment(rawValue: obstacle ?? "")))
struct RoomByKeyTests {
  let folder: TemporaryFolder
  private let names = ["ana", "bea", "carl", "dora", "eve"]

  init() throws { folder = try TemporaryFolder() }

  private func peer(
    _ number: Int, of machines: NetworkNamespaces, key: String? = nil, options: [String]
  ) async throws -> ChatProcess {
    try await ChatProcess(
      folder.path + "/\(names[number])", key: key, name: names[number], options: options,
      on: (machines, number))
  }

  /// Starts the peers from `first` on, and waits until each has met another and may write.
  private func join(
    _ room: inout [ChatProcess], upTo count: Int, of machines: NetworkNamespaces, options: [String]
  ) async throws {
    while room.count < count {
      let began = ContinuousClock.now
      let peer = try await peer(
        room.count, of: machines, key: room.first?.key, options: options)
      if !room.isEmpty {
        try await peer.process.line(containing: #""event":"join""#)
        print("found and met after \(ContinuousClock.now - began), process start included")
        try await peer.process.line(containing: #""event":"authorized""#)
      }
      room.append(peer)
    }
  }

  private func say(_ text: String, by speaker: Int, in room: [ChatProcess], heardBy: [Int])
    async throws
  {
    await room[speaker].process.send(text)
    for number in heardBy { try await room[number].event("message", "message", text) }
  }

  @Test(.timeLimit(.minutes(2)))
  func `two peers, then five, find each other by multicast, also after a cable was pulled`()
    async throws
  {
    let machines = try NetworkNamespaces(5)
    var room: [ChatProcess] = []
    try await join(&room, upTo: 2, of: machines, options: ["--lan"])
    try await say("two of us", by: 1, in: room, heardBy: [0, 1])
    try await join(&room, upTo: 5, of: machines, options: ["--lan"])
    for speaker in 0..<5 {
      try await say("hello from \(speaker)", by: speaker, in: room, heardBy: Array(0..<5))
    }
    try machines.setCable(of: 4, plugged: false)
    try await room[0].event("leave", "username", "eve")
    try await say("while you were away", by: 0, in: room, heardBy: [0, 1, 2, 3])
    await room[4].process.send("alone")
    try machines.setCable(of: 4, plugged: true)
    try await room[4].event("message", "message", "while you were away")
    for number in 0..<4 { try await room[number].event("message", "message", "alone") }
    for peer in room { #expect(await peer.leave() == 0) }
  }

  @Test(.timeLimit(.minutes(2)))
  func `peers find each other through a rendezvous server, also one that was restarted`()
    async throws
  {
    let machines = try NetworkNamespaces(5)
    func serve() async throws -> DatProcess {
      let server = try await machines.start(["rendezvous", "--json"], on: nil)
      try await server.line(containing: #""event":"listening""#)
      return server
    }
    let options = ["--rendezvous", "\(machines.hubAddress):5300"]
    var server = try await serve()
    var room: [ChatProcess] = []
    try await join(&room, upTo: 3, of: machines, options: options)
    try await say("three of us", by: 2, in: room, heardBy: [0, 1, 2])
    await server.signal(SIGKILL)
    _ = await server.status()
    try await say("the server is gone", by: 0, in: room, heardBy: [1, 2])
    server = try await serve()
    try await join(&room, upTo: 5, of: machines, options: options)
    for speaker in 0..<5 {
      try await say("hello from \(speaker)", by: speaker, in: room, heardBy: Array(0..<5))
    }
    for peer in room { #expect(await peer.leave() == 0) }
    await server.signal(SIGINT)
    #expect(await server.status() == 0)
    #expect(await server.lines.contains { $0.contains(#""event":"closed""#) })
  }
}
