import HypercoreProtocol
import Testing

@testable import Hypercore

@Suite struct PeerDownloadTests {
  private let now = Moment(ContinuousClock.now)

  /// A download with requests for these blocks in flight to a peer that has twenty.
  private func download(
    of blocks: [UInt64], memory: PeerMemory = PeerMemory(), bits: Bitfield
  ) throws -> PeerDownload {
    var remote = RemoteBlocks(memory: memory)
    _ = try remote.add(from: 0, length: 20, bitfield: nil)
    var download = PeerDownload(memory: memory, answersInOrder: true, now: now)
    for block in blocks {
      _ = download.request(block, of: &remote, knowing: bits, now: now)
    }
    return download
  }

  private func answer(_ index: UInt64) -> DataMessage {
    DataMessage(index: index, value: [1], nodes: [], signature: nil)
  }

  @Test func `answers that came too early are kept and come out in the order of their requests`()
    throws
  {
    let bits = Bitfield(file: nil)
    var download = try download(of: [0, 1, 2, 3], bits: bits)
    let thirdAnswer = download.answered(3, now: now)
    let third = try #require(thirdAnswer)
    let keptThird = download.keep(answer(3), sentAs: third.number)
    #expect(keptThird == .kept)
    let secondAnswer = download.answered(2, now: now)
    let second = try #require(secondAnswer)
    let keptSecond = download.keep(answer(2), sentAs: second.number)
    #expect(keptSecond == .kept)
    let early = download.nextHeld()
    #expect(early == nil, "the requests before them are not answered")
    _ = download.answered(0, now: now)
    _ = download.answered(1, now: now)
    let next = download.nextHeld()?.number
    #expect(next == second.number)
    let last = download.nextHeld()?.number
    #expect(last == third.number)
    #expect(!download.holdsAnswers)
  }

  @Test func `an answer that relies on no other is not kept`() throws {
    let bits = Bitfield(file: nil)
    var download = try download(of: [0], bits: bits)
    let onlyAnswer = download.answered(0, now: now)
    let only = try #require(onlyAnswer)
    let rescue = download.keep(answer(0), sentAs: only.number)
    #expect(rescue == .wrong)
  }

  @Test func `kept answers give their memory back, and without memory none is kept`() throws {
    let bits = Bitfield(file: nil)
    let memory = PeerMemory(4000)
    var download = try download(of: [0, 1], memory: memory, bits: bits)
    let entryAnswer = download.answered(1, now: now)
    let entry = try #require(entryAnswer)
    let left = memory.left
    let rescue = download.keep(answer(1), sentAs: entry.number)
    #expect(rescue == .kept)
    let removed = download.removeRequests()
    #expect(Set(removed) == [0, 1])
    #expect(memory.left >= left)

    var poor = try self.download(of: [0, 1], memory: PeerMemory(4000), bits: bits)
    let otherAnswer = poor.answered(1, now: now)
    let other = try #require(otherAnswer)
    let large = DataMessage(
      index: 1, value: [UInt8](repeating: 0, count: 8000), nodes: [], signature: nil)
    let refused = poor.keep(large, sentAs: other.number)
    #expect(refused == .noRoom)
  }

  @Test func `what relies on a request that was given up is too late`() throws {
    let bits = Bitfield(file: nil)
    var download = try download(of: [0, 1], bits: bits)
    let late = download.stall(at: now + ReplicationLimits.requestTimeout)
    #expect(late == [0, 1])
    let entryAnswer = download.answered(1, now: now + ReplicationLimits.requestTimeout)
    let entry = try #require(entryAnswer)
    #expect(entry.isStalled)
    let rescue = download.keep(answer(1), sentAs: entry.number)
    #expect(rescue == .tooLate)
  }
}

@Suite struct RemoteBlocksTests {
  @Test func `each region is asked about once, and sixteen questions are open at most`() throws {
    var remote = RemoteBlocks(memory: PeerMemory())
    for region in 0..<16 as Range<UInt64> {
      let isNew = remote.ask(region: region)
      let isNewAgain = remote.ask(region: region)
      #expect(isNew && !isNewAgain)
    }
    let isTooMany = !remote.ask(region: 16)
    #expect(isTooMany && !remote.canAsk && remote.isAsked && remote.askedCount == 16)
    // An answer about a whole region makes room.
    _ = try remote.add(from: 0, length: ReplicationLimits.wantLength, bitfield: [])
    let isAsked = remote.ask(region: 16)
    #expect(isAsked)
  }

  @Test func `the complete beginning ends at the first block that is taken back`() throws {
    var remote = RemoteBlocks(memory: PeerMemory())
    _ = try remote.add(from: 0, length: 100, bitfield: nil)
    let whole = remote.completeLength()
    #expect(whole == 100)
    remote.remove(70)
    let cut = remote.completeLength()
    #expect(cut == 70 && remote.length == 100)
    remote.remove(from: 10, length: 5)
    let shorter = remote.completeLength()
    #expect(shorter == 10)
    _ = try remote.add(from: 10, length: 5, bitfield: nil)
    let joined = remote.completeLength()
    #expect(joined == 70)
  }
}
