import Testing

@testable import DatSignal

/// The events of a hub's client that nobody has read yet.
@Suite(.timeLimit(.minutes(1))) struct EventBacklogTests {
  private func message(_ number: Int) -> SignalHub.Event {
    .message(.connect(from: "\(number)", isNative: true))
  }

  private func rest(_ backlog: EventBacklog) async -> [SignalHub.Event] {
    backlog.finish()
    var events: [SignalHub.Event] = []
    while let event = await backlog.next() { events.append(event) }
    return events
  }

  @Test func `a flood of messages takes the place of older messages, and of nothing else`() async {
    let backlog = EventBacklog(limit: 3)
    let gone = SignalHub.Event.disconnected(SignalError(.unreachable, "gone"), again: .zero)
    backlog.add(message(0))
    backlog.add(.connected)
    for number in 1...9 { backlog.add(message(number)) }
    backlog.add(gone)
    backlog.add(.connected)
    backlog.add(message(10))
    #expect(
      await rest(backlog) == [.connected, message(8), message(9), gone, .connected, message(10)])
  }

  @Test func `a hub that comes and goes fills no more than its share either`() async {
    let backlog = EventBacklog(limit: 3)
    backlog.add(message(0))
    for _ in 0..<100 { backlog.add(.connected) }
    #expect(await rest(backlog) == [message(0)] + Array(repeating: .connected, count: 3))
  }

  @Test func `a reader that waits gets what comes, and the end`() async {
    let backlog = EventBacklog(limit: 3)
    async let first = backlog.next()
    backlog.add(.connected)
    #expect(await first == .connected)
    async let second = backlog.next()
    backlog.finish()
    #expect(await second == nil)
    backlog.add(.connected)
    #expect(await backlog.next() == nil)
  }
}
