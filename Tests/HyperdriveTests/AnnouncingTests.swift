import DatTesting
import Foundation
import HypercoreCrypto
import HypercoreProtocol
import Hyperdrive
import Testing

@testable import Hypercore

/// What is written in an archive is announced at once, and not when a connection looks at its clock.
@Suite(.timeLimit(.minutes(1))) struct AnnouncingTests {
  /// Carries bytes both ways until neither end has any.
  ///
  /// - Returns: true if the first end had any to begin with.
  @discardableResult
  private func exchange(_ one: ReplicationStream, _ other: ReplicationStream) async -> Bool {
    var hadSome: Bool?
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      for (from, to) in [(one, other), (other, one)] {
        let bytes = await from.takeOutput()
        hadSome = hadSome ?? !bytes.isEmpty
        guard !bytes.isEmpty else { continue }
        isQuiet = false
        await to.receive(bytes)
      }
    }
    return hadSome == true
  }

  @Test func `an entry and a removal are announced as soon as they are written`() async throws {
    let owner = try await Archive.inMemory()
    try await owner.write("/first", Array("first".utf8))
    let reader = try await Archive.inMemory(options: Archive.Options(key: owner.key))
    let (one, other) = (try await owner.replicate(.live), try await reader.replicate(.live))
    await exchange(one, other)
    #expect(await reader.version == 1)
    try await owner.write("/second", Array("second".utf8))
    #expect(await exchange(one, other))
    #expect(await reader.version == 2)
    try await owner.remove("/first")
    #expect(await exchange(one, other))
    #expect(await reader.version == 3)
    await one.close()
    await other.close()
  }

  @Test func `an import is announced when it is done`() async throws {
    let world = try TemporaryFolder()
    let source = world.url.appendingPathComponent("source")
    try FileManager.default.createDirectory(at: source, withIntermediateDirectories: true)
    let owner = try await Archive.open(workFolder: source.path, secretKeys: world.path + "/secrets")
    let reader = try await Archive.inMemory(options: Archive.Options(key: owner.key))
    let (one, other) = (try await owner.replicate(.live), try await reader.replicate(.live))
    await exchange(one, other)
    try Data("text".utf8).write(to: source.appendingPathComponent("file"))
    _ = try await owner.importFolder()
    #expect(await exchange(one, other))
    #expect(await reader.version == 1)
    await one.close()
    await other.close()
    try await owner.close()
  }
}

extension ReplicationStream {
  /// The bytes for the peer, without waiting for any.
  fileprivate func takeOutput() -> [UInt8] { session.takeOutput(now: .now) ?? [] }
}
