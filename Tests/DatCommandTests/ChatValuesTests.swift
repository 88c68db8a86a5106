import HypercoreCrypto
import Saga
import Testing

@testable import dat

/// The values that a chat session is made of.
@Suite struct ChatValuesTests {
  private static func key(_ byte: UInt8) -> PublicKey {
    PublicKey(bytes: [UInt8](repeating: byte, count: 32)) ?? PublicKey()
  }

  private let bea = UserData(key: key(2), username: "bea", timestamp: 1)

  @Test func `a person who comes gets a line, and one who leaves when the patience is over`() {
    var people = ChatPeople(own: Self.key(1), patience: .seconds(30), now: 0)
    var notices = people.handle(.join(bea), now: 0)
    #expect(notices.map(\.kind) == [.join])
    notices = people.handle(.join(bea), now: 1) + people.handle(.leave(bea), now: 1_000)
    #expect(notices.isEmpty && people.here == [bea] && people.nextLeave == 31_000)
    notices = people.showLeaves(now: 30_999)
    #expect(notices.isEmpty)
    notices = people.showLeaves(now: 31_000)
    #expect(notices.map(\.kind) == [.leave] && people.here.isEmpty && people.nextLeave == nil)
  }

  @Test func `a person is known by the name that was signed last, and the user is not listed`() {
    var people = ChatPeople(own: Self.key(1), patience: .zero, now: 0)
    _ = people.handle(.join(bea), now: 0)
    func message(_ feed: UInt8, _ name: String) -> Message {
      Message(
        id: Message.ID(key: "messages/1", feed: Self.key(feed)), text: "", username: name,
        timestamp: 1, seq: 1)
    }
    for (feed, name, isNew) in [(2, "Bea", true), (2, "Bea", false), (1, "ana", true)]
      as [(UInt8, String, Bool)]
    {
      let isChange = people.noteName(of: message(feed, name))
      #expect(isChange == isNew)
    }
    let known = people.known(muted: [Self.key(2), Self.key(3)]).sorted { $0.name < $1.name }
    #expect(known.map(\.name) == ["", "Bea"])
    #expect(known.map(\.key) == [Self.key(3), Self.key(2)])
  }

  @Test func `the goal before the end is to write, then to deliver what was written`() throws {
    var outbox = ChatOutbox(folder: nil)
    #expect(outbox.goal == .catchUp)
    #expect(outbox.remains == nil)
    try outbox.keep("one")
    try outbox.keep("two")
    #expect(outbox.goal == .writeKept)
    #expect(outbox.remains == "2 lines were not sent, and are lost, since nothing is kept on disk")
    for block in [UInt64(4), 5] {
      outbox.noteWritten(block)
      try outbox.removeFirstWaiting()
    }
    #expect(outbox.goal == .upload(5))
    #expect(outbox.waiting.isEmpty && !outbox.isIncomplete)
  }
}
