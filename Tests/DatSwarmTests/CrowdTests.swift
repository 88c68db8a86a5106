import DatTesting
import Foundation
import HyperDB
import HypercoreCrypto
import RandomAccessStorage
import Saga
import Testing

@testable import DatSwarm

/// One of many in a room.
private struct Member {
  let saga: Saga
  let swarm: Swarm

  init(_ name: String, key: PublicKey?, server: PeerAddress) async throws {
    var options = SagaOptions()
    options.authorization = .decide { $0.username.hasPrefix("writer") }
    saga = try await Saga.open(storage: MemoryStorage(), key: key, username: name, options: options)
    var limits = Swarm.Options()
    limits.maximumOutbound = 6
    swarm = Swarm(options: limits, sources: [RendezvousSource(servers: [server])])
    try await swarm.listen(host: "127.0.0.1")
    await swarm.join(saga.db.discoveryKey) { [saga] _ in
      try await saga.replicate()
    } meet: { [saga] stream, _ in
      try? await saga.connect(stream)
    }
  }

  /// Waits until this many messages were shown here.
  func hears(_ count: Int) async {
    var heard = 0
    for await event in saga.events() {
      if case .message = event { heard += 1 }
      if heard >= count { return }
    }
  }

  func becomesWriter() async {
    for await _ in saga.events() where await saga.db.isLocalAuthorized { return }
  }
}

private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Returns the resident memory of the process, in MiB; nil if the system doesn't report it.
private func residentMemory() -> Int? {
  guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else {
    return nil
  }
  let fields = text.split(separator: " ")
  return fields.count > 1 ? Int(fields[1]).map { ($0 * sysconf(Int32(_SC_PAGESIZE))) >> 20 } : nil
}

/// Raises the limit: each connection within the process takes two descriptors.
private func raiseDescriptorLimit() {
  #if canImport(Glibc)
    let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  #else
    let kind = RLIMIT_NOFILE
  #endif
  var limit = rlimit()
  guard getrlimit(kind, &limit) == 0 else { return }
  limit.rlim_cur = min(limit.rlim_max, 16_384)
  _ = setrlimit(kind, &limit)
}

@Test(.timeLimit(.minutes(5)))
func `two hundred peers hold one room, with few connections each`() async throws {
  raiseDescriptorLimit()
  // A sanitizer slows everything down; it has to see every operation, but not a large crowd.
  let count = isSanitized ? 40 : 200
  let server = try await RendezvousServer(host: "127.0.0.1")
  let before = processorSeconds()
  let memory = residentMemory()
  let first = try await Member("writer 0", key: nil, server: server.address)
  try await first.saga.writeMessage("before anybody came")
  // Only writers let others in, and in the crowd a newcomer may meet none of them.
  var writers = [first]
  for number in 1..<5 {
    let writer = try await Member(
      "writer \(number)", key: first.saga.key, server: server.address)
    await writer.becomesWriter()
    writers.append(writer)
  }
  let members = try await withThrowingTaskGroup(of: Member.self) { [writers] group in
    for number in writers.count..<count {
      group.addTask {
        try await Member("reader \(number)", key: first.saga.key, server: server.address)
      }
    }
    var members = writers
    for try await member in group { members.append(member) }
    return members
  }
  for writer in writers {
    for number in 0..<4 { try await writer.saga.writeMessage("\(writer.saga.username): \(number)") }
  }
  await withTaskGroup(of: Void.self) { group in
    for member in members { group.addTask { await member.hears(1 + 5 * 4) } }
  }
  var connections = 0
  for member in members {
    let peers = await member.swarm.peers
    let inbound = peers.count { $0.isInbound }
    #expect(inbound <= 64)
    #expect(peers.count - inbound <= 6)
    connections += peers.count
    #expect(await member.saga.messageCount == 21)
  }
  let seconds = processorSeconds() - before
  print("\(count) peers, \(connections) ends of connections, \(seconds) s of processor time")
  if let memory, let now = residentMemory() {
    print("\(now - memory) MiB of memory more than before, \(now) MiB in all")
  }
  await withTaskGroup(of: Void.self) { group in
    for member in members {
      group.addTask {
        await member.swarm.close()
        await member.saga.close()
      }
    }
  }
  await server.close()
}
