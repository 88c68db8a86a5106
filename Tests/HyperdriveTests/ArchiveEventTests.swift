import Testing

@testable import Hyperdrive

@Test func `a slow reader of an archive's events misses none of another kind`() {
  var queue = ArchiveEventQueue()
  queue.add(.content)
  queue.add(.trouble)
  for version in 1...100 as ClosedRange<UInt64> {
    queue.add(.update(version: version))
    if version == 50 { queue.add(.sync(version: 50)) }
  }
  queue.add(.close)
  #expect(queue.pendingCount == 5)
  var events: [ArchiveEvent] = []
  while let event = queue.next() { events.append(event) }
  #expect(events == [.content, .trouble, .sync(version: 50), .update(version: 100), .close])
}
