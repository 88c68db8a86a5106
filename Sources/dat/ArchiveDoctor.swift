internal import DatCoding
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive
internal import RandomAccessStorage

/// An examination of an archive in a folder.
struct ArchiveDoctor {
  let output: Output

  /// The results of an examination.
  private struct Findings {
    var whole: UInt64 = 0
    /// Files whose bytes are recorded as stored but differ from what was signed.
    var changed: [ArchivePath] = []
    /// The number of files that are not stored in full.
    var partial: UInt64 = 0
    var lost: [ArchiveEntry] = []
    var hasContentSecret = false
    /// A fork of the content feed; that of the metadata feed is among its problems.
    var contentFork: ForkEvidence?
  }

  /// Checks the metadata feed, every entry, and the bytes of every file of the newest version.
  ///
  /// - Returns: true if the feeds are sound. A file that was edited since the last import is not a fault.
  func examine(
    _ folder: String, _ kind: Archive.FolderKind, _ repairing: Bool
  ) async throws -> Bool {
    var (root, prefix) = (folder, "metadata/")
    if case .workFolder(let path) = kind { (root, prefix) = (path + "/.dat", "metadata.") }
    let storage = FolderStorage(path: root)
    if try storage.exists("metadata.key") { prefix = "metadata." }
    let metadata = try Feed.examine(storage, prefix: prefix, repairing: repairing)
    let archive = try await ArchiveTarget.open(folder, kind, .readOnly)
    let result = await Result<Findings, any Error>.of { try await look(at: archive) }
    let fork = await archive.fork
    let issues = await archive.issues
    let key = archive.key
    try await archive.close()
    var findings = try result.get()
    if fork?.key != key { findings.contentFork = fork }
    findings.hasContentSecret = try storage.exists("content.secret_key")
    let isHealthy = metadata.isHealthy && issues.isEmpty && findings.contentFork == nil
    printReport(metadata, findings, issues, key, isHealthy)
    return isHealthy
  }

  private func look(at archive: Archive) async throws -> Findings {
    let here = ArchiveReadOptions(wait: false)
    var findings = Findings()
    for try await item in archive.entries(recursive: true, options: here)
    where item.stat.kind == .file {
      guard let range = item.stat.blockRange, let content = await archive.content,
        await content.has(range)
      else {
        findings.partial += 1
        continue
      }
      do {
        for try await _ in try await archive.read(item.path, options: here) {}
        findings.whole += 1
      } catch is ArchiveError { findings.changed.append(item.path) }
    }
    findings.lost = try await archive.lostEntries(options: here)
    return findings
  }

  private func printReport(
    _ metadata: FeedExamination, _ findings: Findings, _ issues: [UInt64: ArchiveError],
    _ key: PublicKey, _ isHealthy: Bool
  ) {
    let forks = findings.contentFork.map { [FeedError.forked($0).reason] } ?? []
    if output.json {
      output.object([
        "kind": "archive", "healthy": .bool(isHealthy), "key": .string(key.hex),
        "entries": ArchiveOutput.integer(metadata.length),
        "problems": .array((metadata.problems.map(\.message) + forks).map { .string($0) }),
        "badEntries": .array(issues.keys.sorted().map(ArchiveOutput.integer)),
        "whole": ArchiveOutput.integer(findings.whole),
        "partial": ArchiveOutput.integer(findings.partial),
        "changed": .array(findings.changed.map { .string($0.description) }),
        "lost": .array(findings.lost.map { .string($0.path.description) }),
      ])
      return
    }
    output.line("archive \(key.hex): \(Amount.count(metadata.length, "entry"))")
    for repair in metadata.repairs { output.line("  mended: \(SafeText.line(repair))") }
    for problem in metadata.problems {
      output.line("  \(problem.isFault ? "wrong" : "note"): \(SafeText.line(problem.message))")
    }
    for fork in forks { output.line("  wrong: \(SafeText.line(fork))") }
    for (_, issue) in issues.sorted(by: { $0.key < $1.key }) {
      output.line("  wrong: \(SafeText.line(issue.reason))")
    }
    output.line(
      "\(Amount.count(findings.whole, "file")) whole, \(findings.partial) not here or not all of it"
    )
    for path in findings.changed {
      output.line(
        "  note: \(ArchiveOutput.shown(path)) is gone or has changed since it was taken in; `dat share` takes it "
          + "in, `dat pull` fetches it again")
    }
    for entry in findings.lost {
      output.line(
        "  note: \(ArchiveOutput.shown(entry.path)) was lost by an old deletion, version \(entry.seq); "
          + "`dat recover` saves it")
    }
    if findings.hasContentSecret {
      output.line(
        "  note: .dat has content.secret_key, which nothing needs: who has it can sign content. Do not copy it"
      )
    }
  }
}
