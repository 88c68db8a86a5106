internal import ArgumentParser
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive

/// A wait for an archive in a folder to be complete, with a display of the progress.
struct ArchiveFetch {
  let archive: Archive
  /// The folder of the archive, for sentences.
  let folder: String
  let timeout: Double

  /// Returns once everything of the newest version is here.
  ///
  /// - Throws: a sentence if nothing came for so long that nothing more is expected, or nothing more can be taken.
  func untilComplete() async throws {
    let clock = ContinuousClock()
    var bar = ProgressBar(start: clock.now)
    defer { bar.clear() }
    var (last, lastChange) = (CloneProgress(), clock.now)
    while true {
      let now = await progress()
      try await archive.checkHistory(in: folder)
      if await isDone { return }
      if now != last { (last, lastChange) = (now, clock.now) }
      bar.show(now, at: clock.now)
      try await archive.checkRoom(in: folder)
      if let failure = await archive.folderFailure { throw failure }
      // Throws if the first block has turned out to be of something else.
      _ = try await archive.checkout(0)
      if clock.now - lastChange > .seconds(timeout) { throw await Stalled(archive, timeout) }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  /// True if the newest version that a connected peer has is here.
  private var isDone: Bool {
    get async {
      let metadata = archive.metadata
      let length = await metadata.length
      guard length > 0, await metadata.remoteLength <= length else { return false }
      return await archive.isComplete
    }
  }

  private func progress() async -> CloneProgress {
    let content = await archive.content
    let metadata = archive.metadata
    var progress = CloneProgress()
    progress.blocks = await metadata.downloaded()
    progress.length = await max(metadata.length, metadata.remoteLength)
    if let content {
      progress.blocks += await content.downloaded()
      progress.length += await content.downloaded() + archive.pendingBlocks
      progress.bytes = await content.statistics.totals.downloadedBytes
    }
    return progress
  }
}

/// The error of an archive that does not become complete.
private struct Stalled: Error, CustomStringConvertible {
  let description: String

  init(_ archive: Archive, _ timeout: Double) async {
    let seconds = Int(timeout)
    let pending = await archive.pendingFiles
    description =
      if await archive.metadata.length == 0 {
        await archive.metadata.peers.isEmpty
          ? "Nobody with this archive was found in \(seconds) seconds. Name a peer with --connect, or try again "
            + "when somebody shares it."
          : "Nobody who is connected has anything of this archive. Check the key."
      } else if pending.isEmpty {
        "Nothing came for \(seconds) seconds, and not all entries are here; run the command again to go on."
      } else {
        "Nothing came for \(seconds) seconds: nobody who is connected has the rest of "
          + "\(Amount.count(UInt64(pending.count), "file")), such as "
          + "\(ArchiveOutput.shown(pending[0])); run `dat pull` later to go on."
      }
  }
}

extension Output {
  /// Prints how many files an archive has, and their size.
  func summary(_ verb: String, _ archive: Archive) async throws {
    var (files, bytes): (UInt64, UInt64) = (0, 0)
    for try await item in archive.entries(recursive: true, options: ArchiveReadOptions(wait: false))
    where item.stat.kind == .file {
      files += 1
      bytes &+= item.stat.size
    }
    line("\(verb): \(Amount.count(files, "file")) (\(Amount.bytes(bytes)))")
  }

  /// Reports what of an archive is not in its folder, and why.
  func leftOut(_ archive: Archive) async {
    for (path, reason) in await archive.refusedFiles.sorted(by: { $0.key < $1.key }) {
      failure("\(ArchiveOutput.shown(path)) is not laid out: \(reason)")
    }
    for path in await archive.keptFiles {
      failure("a file of yours was in the way; it is \(ArchiveOutput.shown(path)) now")
    }
  }
}
