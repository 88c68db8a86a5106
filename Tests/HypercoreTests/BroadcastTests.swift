import Testing

@testable import Hypercore

@Suite(.timeLimit(.minutes(1))) struct BroadcastTests {
  /// A queue that keeps everything, so that a test sees what was sent.
  private struct Queue: BroadcastQueue {
    var events: [Int] = []
    mutating func add(_ event: Int) { events.append(event) }
    mutating func next() -> Int? { events.isEmpty ? nil : events.removeFirst() }
    var pendingCount: Int { events.count }
  }

  @Test func `a reader has what was sent since it subscribed, in order, and ends after the last`()
    async
  {
    let broadcast = Broadcast<Queue>()
    broadcast.send(1)
    let reader = broadcast.subscribe(Queue())
    for event in 2...4 { broadcast.send(event) }
    broadcast.finish(5)
    broadcast.send(6)
    var events: [Int] = []
    while let event = await reader.next() { events.append(event) }
    #expect(events == [2, 3, 4, 5])
    let late = broadcast.subscribe(Queue())
    #expect(await late.next() == 5)
    #expect(await late.next() == nil)
  }

  @Test func `events sent together reach every reader in order, and none after the end`() async {
    let broadcast = Broadcast<Queue>()
    let readers = [broadcast.subscribe(Queue()), broadcast.subscribe(Queue())]
    broadcast.send(contentsOf: [1, 2, 3])
    broadcast.send(contentsOf: [])
    broadcast.finish()
    broadcast.send(contentsOf: [4])
    for reader in readers {
      var events: [Int] = []
      while let event = await reader.next() { events.append(event) }
      #expect(events == [1, 2, 3])
    }
  }

  @Test func `an event resumes everyone who waits, on one subscription or several`() async throws {
    let broadcast = Broadcast<Queue>()
    let readers = (0..<3).map { _ in broadcast.subscribe(Queue()) }
    let waiting = readers.flatMap { reader in (0..<2).map { _ in Task { await reader.waits() } } }
    for reader in readers { await waiters(2, of: reader, in: broadcast) }
    let resumed = broadcast.lock.withLock { broadcast.forEachReader { $0.add(1) } }
    try #require(resumed.count == waiting.count)
    broadcast.wake(resumed)
    for wait in waiting { #expect(await wait.value) }
  }

  @Test func `a wait is in vain if its task is cancelled, its subscription, or all ends`() async {
    let broadcast = Broadcast<Queue>()
    let reader = broadcast.subscribe(Queue())
    let cancelled = Task { await reader.waits() }
    await waiters(1, of: reader, in: broadcast)
    cancelled.cancel()
    #expect(await cancelled.value == false)

    let other = broadcast.subscribe(Queue())
    let left = Task { await other.waits() }
    await waiters(1, of: other, in: broadcast)
    other.cancel()
    #expect(await left.value == false)

    let ended = Task { await reader.waits() }
    await waiters(1, of: reader, in: broadcast)
    broadcast.finish()
    #expect(await ended.value == false)
  }

  /// Returns once this many calls wait on a subscription.
  private func waiters(
    _ count: Int, of subscription: Broadcast<Queue>.Subscription, in broadcast: Broadcast<Queue>
  ) async {
    while broadcast.lock.withLock({ subscription.reader.waiters.count }) < count {
      await Task.yield()
    }
  }

  @Test func `a reader that leaves early leaves nothing behind`() async {
    let broadcast = Broadcast<Queue>()
    var reader: Broadcast<Queue>.Subscription? = broadcast.subscribe(Queue())
    broadcast.send(1)
    #expect(broadcast.pendingCounts == [1])
    reader = nil
    _ = reader
    #expect(broadcast.isEmpty)
    let waiting = Task { [reader = broadcast.subscribe(Queue())] in await reader.next() }
    waiting.cancel()
    #expect(await waiting.value == nil)
    #expect(broadcast.isEmpty)
  }

  @Test func `several tasks that wait on one subscription share its events`() async {
    let broadcast = Broadcast<Queue>()
    let reader = broadcast.subscribe(Queue())
    let tasks = (0..<4).map { _ in
      Task {
        var events: [Int] = []
        while let event = await reader.next() { events.append(event) }
        return events
      }
    }
    for event in 0..<100 {
      broadcast.send(event)
      if event % 7 == 0 { await Task.yield() }
    }
    broadcast.finish()
    var events: [Int] = []
    for task in tasks { events += await task.value }
    #expect(events.sorted() == Array(0..<100))
  }

  @Test func `a cancelled subscription ends its readers and takes no more`() async {
    let broadcast = Broadcast<Queue>()
    let reader = broadcast.subscribe(Queue())
    let waiting = Task { await reader.next() }
    reader.cancel()
    broadcast.send(1)
    #expect(await waiting.value == nil)
    #expect(await reader.next() == nil)
  }

  @Test func `changes that wait are one`() async {
    let broadcast = Broadcast<ChangeQueue>()
    let reader = broadcast.subscribe(ChangeQueue())
    for _ in 0..<1000 { broadcast.send(()) }
    #expect(broadcast.pendingCounts == [1])
    #expect(await reader.next() != nil)
    broadcast.finish()
    #expect(await reader.next() == nil)
  }
}
