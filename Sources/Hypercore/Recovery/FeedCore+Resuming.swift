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
    return !syncHasFailed
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
      (damage, nextOffset, offsetMarks) = (nil, nil, [])
      places.removeAll()
      (length, byteLength, roots) = (0, 0, [])
      try tree.restart()
      bits.restart(pageSize: stored.pageSize, pageCount: stored.pageCount)
      let found = report
      report = RepairReport()
      defer { report.findings = found.findings + report.findings }
      if stored.hasTreeHeader || stored.hasBitfieldHeader { try recover(stored) }
      try writeHeaders(stored, overwriting: false)
    } catch {
      failure = error
      throw error
    }
    failure = nil
    if length > before {
      onChange?(isOwned ? .appended(before..<length) : .grew(to: length))
    }
  }
}
