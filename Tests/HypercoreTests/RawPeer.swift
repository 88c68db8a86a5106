import DatTesting
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// The other end of a feed's connection, which sends and receives plain messages.
final class RawPeer {
  let connection: Connection
  let channel: ChannelID
  let stream: ReplicationStream
  private(set) var heard: [Message] = []

  init(_ feed: Feed, _ options: ReplicationOptions = .live) async throws {
    var random = SeededRandom(seed: 1)
    var own = Connection.Options.random(using: &random)
    own.live = true
    connection = Connection(options: own, now: .now)
    stream = try await feed.replicate(options)
    channel = try connection.open(try #require(feed.key))
    try await exchange()
  }

  /// Sends messages in one burst, and returns the answers.
  @discardableResult
  func say(_ messages: Message...) async throws -> [Message] {
    for message in messages { try connection.send(message, on: channel) }
    let before = heard.count
    try await exchange()
    return Array(heard[before...])
  }

  private func exchange() async throws {
    var goesOn = true
    while goesOn {
      await stream.receive(connection.takeOutput())
      goesOn = false
      while let bytes = await stream.outputNow() {
        goesOn = true
        try connection.receive(bytes, now: .now)
        while let event = try connection.nextEvent() {
          if case .message(_, let message) = event { heard.append(message) }
        }
      }
    }
  }
}

extension ReplicationStream {
  /// The current output; nil if there is none.
  func outputNow() async -> [UInt8]? {
    let task = Task { await nextOutput() }
    // When it is cancelled, it returns what there is and doesn't wait.
    task.cancel()
    return await task.value
  }
}
