internal import HypercoreCrypto
internal import RandomAccessStorage

// After a failed write, memory and files may differ. Resuming reads the state from the files, as opening
// does.

extension FeedCore {
  /// True if it is worth trying to resume after a failed write. It isn't after a failed sync, since the
  /// system may have dropped what it could not write; opening anew detects that.
  package var mayResume: Bool {
    // A static feed without its key can't be resumed.
    guard failure != nil, key != nil, forkEvidence == nil, !isClosed, access == .readWrite else {
      return false
    }
    return !diskSync.hasFailed
  }

  /// Resumes after a failed write: drops the state in memory and reads that of the files, as opening does.
  ///
  /// - Throws: ``FeedError/Code/storage`` if it still fails; the feed is left as it was.
  package func resume() throws(FeedError) {
    guard mayResume else { return }
    let before = length
    do {
      for file in files.growing { file.storage.close() }
      let stored = try StoredFeed(files, overwriting: false)
      batch = PutBatch()
      recovery.restart()
      locations.removeAll()
      extent.adopt(length: 0, roots: [])
      try tree.restart()
      bits.restart(pageSize: stored.pageSize, pageCount: stored.pageCount)
      let found = report.findings
      recovery.report = RepairReport()
      defer { recovery.report.findings.insert(contentsOf: found, at: 0) }
      if stored.hasTreeHeader || stored.hasBitfieldHeader { try recover(stored) }
      try writeHeaders(stored, overwriting: false)
    } catch {
      standing.fail(error)
      throw error
    }
    standing.resume()
    if length > before {
      onChange?(isOwned ? .appended(before..<length) : .grew(to: length))
    }
  }
}
