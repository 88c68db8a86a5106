import HypercoreProtocol
import Testing

@testable import Hypercore

@Suite struct PeerEndingTests {
  private let now = Moment(ContinuousClock.now)

  @Test func `a side that has everything says so once, and closes if the remote has said so`() {
    var early = PeerEnding(fetches: true, now: now)
    let first = early.finished(hasQueue: false)
    #expect(first == .finish(closes: false))
    #expect(early.fetching == .over && early.everFetched)
    let second = early.finished(hasQueue: false)
    #expect(second == .wait)
    early.remoteIsFetching = false
    let busy = early.finished(hasQueue: true)
    #expect(busy == .wait, "the remote waits for answers")
    let last = early.finished(hasQueue: false)
    #expect(last == .close)

    var late = PeerEnding(fetches: true, now: now)
    late.remoteIsFetching = false
    let both = late.finished(hasQueue: false)
    #expect(both == .finish(closes: true))
  }

  @Test func `a side that never fetched leaves once the remote is done`() {
    var ending = PeerEnding(fetches: false, now: now)
    let before = ending.finished(hasQueue: false)
    #expect(before == .wait)
    ending.remoteIsFetching = false
    let last = ending.finished(hasQueue: false)
    #expect(last == .leave)
  }

  @Test func `a side that never fetched reminds an idle remote of that`() {
    var ending = PeerEnding(fetches: false, now: now)
    let unknown = ending.idled(isKnown: false)
    #expect(unknown == .close, "the remote does not know the feed")
    let idle = ending.idled(isKnown: true)
    #expect(idle == .remind)
    #expect(ending.fetching == .neverRepeated && !ending.everFetched)
  }

  @Test func `a side that stopped can start again, and is closed once`() {
    var ending = PeerEnding(fetches: false, now: now)
    ending.stop()
    #expect(ending.fetching == .never)
    ending.start()
    ending.stop()
    #expect(ending.fetching == .over)
    ending.start()
    #expect(ending.isFetching)
    let wasOpen = ending.close()
    let isOpen = ending.close()
    #expect(wasOpen && !isOpen && ending.isClosed)
  }
}
