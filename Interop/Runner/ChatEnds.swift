import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import Saga

/// One member of a chat room, of Node or of Swift.
protocol ChatEnd: Sendable {
  func open(folder: String, key: String?, name: String) async throws -> (key: String, local: String)
  func write(_ text: String) async throws
  func listen() async throws -> Int
  func connect(_ port: Int) async throws
  func disconnect() async throws
  /// The texts of all messages that were told so far, in the order they were told.
  func texts() async throws -> [String]
  /// How often `name` joined, and left.
  func presence(of name: String) async throws -> (joins: Int, leaves: Int)
  func close() async throws
}

struct NodeChat: ChatEnd {
  let peer: NodePeer
  let isWorkshop: Bool

  init(_ place: NodePeer.Place, isWorkshop: Bool) async throws {
    peer = try await NodePeer("saga-peer.js", place)
    self.isWorkshop = isWorkshop
  }

  func open(folder: String, key: String?, name: String) async throws
    -> (key: String, local: String)
  {
    let reply = try await peer.call(
      .init("open") {
        ($0.folder, $0.key, $0.name, $0.workshop) = (folder, key, name, isWorkshop)
      })
    return (reply.key ?? "", reply.local ?? "")
  }

  func write(_ text: String) async throws { try await peer.call(.init("write") { $0.text = text }) }

  func listen() async throws -> Int { try await peer.call("listen").port ?? 0 }

  func connect(_ port: Int) async throws {
    try await peer.call(.init("connect") { $0.port = port })
  }

  func disconnect() async throws { try await peer.call("disconnect") }

  func texts() async throws -> [String] { try await peer.events("message").compactMap(\.message) }

  func presence(of name: String) async throws -> (joins: Int, leaves: Int) {
    let joins = try await peer.events("join").count { $0.username == name }
    return (joins, try await peer.events("leave").count { $0.username == name })
  }

  func close() async throws {
    try await peer.call("close")
    await peer.stop()
  }
}

actor SwiftChat: ChatEnd {
  private var opened: Saga?
  private var connections: SwiftConnections?
  private var told: [SagaEvent] = []
  private var listening: Task<Void, Never>?

  private func saga() throws -> Saga {
    guard let opened else { throw Failure("the room is not open") }
    return opened
  }

  private func links() throws -> SwiftConnections {
    guard let connections else { throw Failure("the room is not open") }
    return connections
  }

  func open(folder: String, key: String?, name: String) async throws
    -> (key: String, local: String)
  {
    let saga = try await Saga.open(
      folder: folder, key: key.flatMap { PublicKey(hex: $0) }, username: name)
    opened = saga
    connections = SwiftConnections {
      let stream = try await saga.replicate()
      Task {
        _ = await stream.handshake()
        try await saga.connect(stream)
      }
      return stream
    }
    listening = Task {
      for await event in saga.events() { told.append(event) }
    }
    return (saga.key.hex, saga.db.localKey.hex)
  }

  func write(_ text: String) async throws { _ = try await saga().writeMessage(text) }

  func listen() async throws -> Int { try await links().listen() }

  func connect(_ port: Int) async throws { try await links().connect(port) }

  func disconnect() async throws { await connections?.disconnect() }

  func texts() async throws -> [String] {
    told.compactMap { if case .message(let message) = $0 { message.text } else { nil } }
  }

  func presence(of name: String) async throws -> (joins: Int, leaves: Int) {
    var count = (joins: 0, leaves: 0)
    for event in told {
      switch event {
      case .join(let user) where user.username == name: count.joins += 1
      case .leave(let user) where user.username == name: count.leaves += 1
      default: break
      }
    }
    return count
  }

  func close() async throws {
    await connections?.stop()
    await (try saga()).close()
    await listening?.value
  }
}
