internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive

/// Looks for the peers of an archive, and says what it met. Nothing is kept.
struct ArchiveLinkDoctor {
  let output: Output
  let peers: ArchivePeers

  /// - Returns: true if somebody has the archive.
  func examine(_ link: ArchiveLink) async throws -> Bool {
    let archive = try await Archive.inMemory(options: ArchiveTarget.passing(link.key))
    let meetings = Meetings()
    let result = await Result<Bool, any Error>.of {
      let swarm = try await peers.join(
        archive, output: peers.discovery.verbose ? output : nil, watching: { meetings.note($0) })
      let isThere = await isThere(archive)
      await swarm.close()
      await printReport(archive, meetings, isThere)
      return isThere
    }
    try await archive.close()
    return try result.get()
  }

  /// Waits until a peer has said how long the archive is, and its newest entry came; false if none does.
  private func isThere(_ archive: Archive) async -> Bool {
    do {
      try await ArchiveTarget.untilNewest(archive, peers.timeout)
      return await archive.metadata.length > 0
    } catch { return false }
  }

  private func printReport(_ archive: Archive, _ meetings: Meetings, _ isThere: Bool) async {
    let met = meetings.sum
    let kind = await archive.hasContent ? "archive" : nil
    let length = await archive.metadata.length
    let content = await archive.content?.remoteLength ?? 0
    if output.json {
      output.object([
        "kind": "link", "key": .string(archive.key.hex), "healthy": .bool(isThere),
        "found": .integer(Int64(met.found.count)),
        "connected": .array(met.connected.map { .string("\($0)") }),
        "failed": .array(
          met.failed.map { ["address": .string("\($0.address)"), "reason": .string($0.reason)] }),
        "version": isThere ? ArchiveOutput.integer(await archive.version) : .null,
        "contentLength": ArchiveOutput.integer(content),
      ])
      return
    }
    output.line(
      "\(Amount.count(UInt64(met.found.count), "address")) found, \(met.connected.count) reached, "
        + "\(met.failed.count) failed")
    for address in met.connected { output.line("  reached \(address)") }
    for failure in met.failed {
      output.line("  \(failure.address): \(SafeText.line(failure.reason))")
    }
    if !isThere {
      output.line(
        met.connected.isEmpty
          ? "Nobody was reached in \(Int(peers.timeout)) seconds: name a peer with --connect, or look further "
            + "with --rendezvous or --dht."
          : "Those who were reached have nothing of this archive.")
    } else if kind != nil {
      output.line(
        "Version \(await archive.version) came, whose files have \(Amount.count(content, "block"))"
          + " with those who were reached.")
    } else {
      output.line("What they have is no archive: a feed of \(Amount.count(length, "block")).")
    }
  }
}

/// The peers that were found, reached and missed.
///
/// Unchecked with this proof: its state is touched under the lock only.
private final class Meetings: @unchecked Sendable {
  struct Sum {
    var found: Set<PeerAddress> = []
    var connected: [PeerAddress] = []
    var failed: [(address: PeerAddress, reason: String)] = []
  }

  private let lock = NSLock()
  private var state = Sum()
  /// The most of each kind that are listed one by one.
  private static let most = 100

  var sum: Sum { lock.withLock { state } }

  func note(_ event: SwarmEvent) {
    lock.withLock {
      switch event {
      case .found(let address, _, _), .connecting(let address, _):
        if state.found.count < Self.most { state.found.insert(address) }
      case .connected(let peer):
        if state.connected.count < Self.most, !state.connected.contains(peer.address) {
          state.connected.append(peer.address)
        }
      case .failed(let address, _, let reason):
        if state.failed.count < Self.most, !state.failed.contains(where: { $0.address == address })
        {
          state.failed.append((address, reason))
        }
      default: break
      }
    }
  }
}
