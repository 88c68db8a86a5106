import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Saga
import Testing

/// The recorded session of two workshop Sagas, with this implementation at either end.
@Suite(.timeLimit(.minutes(1))) struct RecordedSagaTests {
  /// The data of the file besides the bytes.
  struct Recording: Decodable, Sendable {
    struct Event: Decodable, Sendable {
      struct Data: Decodable, Sendable {
        let key: Key?
        let message: String?
        let username: String
        let timestamp: Int64
      }
      /// A message's key, or a feed's in JavaScript's form.
      enum Key: Decodable, Sendable {
        case message(String)
        case feed([UInt8])

        init(from decoder: any Decoder) throws {
          if let text = try? decoder.singleValueContainer().decode(String.self) {
            self = .message(text)
          } else {
            self = .feed(try Buffer(from: decoder).data)
          }
        }

        private struct Buffer: Decodable { let data: [UInt8] }
      }
      let at: String
      let event: String
      let data: Data
    }
    let events: [Event]

    func messages(at side: String) -> [Event.Data] {
      events.filter { $0.at == side && $0.event == "message" }.map(\.data)
    }

    func comings(at side: String) -> [String] {
      events.filter { $0.at == side && $0.event != "message" }
        .map { "\($0.event) \($0.data.username) \($0.data.timestamp)" }
    }
  }

  /// The recorded sessions that are about a room.
  static let names: [String] = ((try? RecordedSession.names()) ?? []).filter { name in
    let recording: Recording? = try? Fixtures.json("sessions/\(name).json")
    return recording.map { !$0.events.isEmpty } ?? false
  }

  @Test(arguments: names, RecordedSession.Side.allCases)
  func `in the place of either user a recorded session ends with the recorded room`(
    name: String, side: RecordedSession.Side
  ) async throws {
    let recording: Recording = try Fixtures.json("sessions/\(name).json")
    let session = try RecordedSession(name)
    let peer = try RecordedPeer(session, playing: side.other)
    let expected = recording.messages(at: side.rawValue)
    let userData = try #require(session.handshake(of: side)?.userData)
    let user = try #require(UserData(bytes: userData))
    let pair = try #require(session.keyPairs.first { $0.publicKey == user.key })

    // The recorded keys and times, for what is written here.
    let own = expected.filter { $0.username == user.username }
    let script = Script(times: [user.timestamp] + own.map(\.timestamp), ids: own.map(Self.id))
    var options = SagaOptions()
    options.now = { script.time() }
    options.makeID = { script.id() }
    options.database.looksFirst = false
    if user.key == session.key {
      options.database.keyPair = pair
      options.database.isNew = true
    } else {
      options.database.localKeyPair = pair
      options.database.isNew = true
    }
    let saga = try await Saga.open(
      storage: MemoryStorage(), key: session.key, username: user.username, options: options)
    #expect(saga.userData == user)
    let watcher = Task { () -> [String] in
      var comings: [String] = []
      for await event in saga.events() {
        if case .join(let data) = event {
          comings.append("join \(data.username) \(data.timestamp)")
        }
        if case .leave(let data) = event {
          comings.append("leave \(data.username) \(data.timestamp)")
          return comings
        }
      }
      return comings
    }

    /// Writes this side's next message of the recording, once all before it are here.
    let writeWhatIsDue = { @Sendable () async throws in
      while true {
        let count = await saga.messageCount
        guard count < expected.count, expected[count].username == user.username else { return }
        if count > 0, await !saga.db.isLocalAuthorized { return }
        try await saga.writeMessage(expected[count].message ?? "")
      }
    }
    if own.first?.timestamp == expected.first?.timestamp { try await writeWhatIsDue() }
    let writer = Task {
      for await _ in saga.events() { try await writeWhatIsDue() }
    }
    let stream = try await saga.replicate()
    let meeting = Task { try await saga.connect(stream) }
    try await peer.replay(with: stream)
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")
    // The recorded end has finished; this side may still be about to write its last message.
    for await _ in saga.events() where await saga.messageCount >= expected.count { break }
    await stream.close()
    try await meeting.value

    let shown = await saga.messages
    #expect(shown.map(\.text) == expected.map { $0.message ?? "" })
    #expect(shown.map(\.timestamp) == expected.map(\.timestamp))
    #expect(shown.map(\.key) == expected.map { Self.key($0) })
    #expect(await watcher.value == recording.comings(at: side.rawValue))
    await saga.close()
    // It may have been about to write when the room closed.
    _ = try? await writer.value
  }

  private static func key(_ data: Recording.Event.Data) -> String {
    if case .message(let key) = data.key { return key }
    return ""
  }

  private static func id(_ data: Recording.Event.Data) -> String {
    String(key(data).dropFirst("messages/".count))
  }

  /// Recorded times and ids, one after another.
  ///
  /// Unchecked, with this proof: everything that changes is used under the lock.
  private final class Script: @unchecked Sendable {
    private let lock = NSLock()
    private var times: [Int64]
    private var ids: [String]

    init(times: [Int64], ids: [String]) {
      self.times = times
      self.ids = ids
    }

    func time() -> Int64 {
      lock.withLock { times.count > 1 ? times.removeFirst() : times.first ?? 0 }
    }

    func id() -> String { lock.withLock { ids.isEmpty ? "none" : ids.removeFirst() } }
  }
}
