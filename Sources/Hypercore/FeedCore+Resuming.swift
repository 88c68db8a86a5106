internal import HypercoreCrypto
internal import RandomAccessStorage

// After a write that failed memory and files may differ. What the files hold is taken up again, as at opening.

extension FeedCore {
  /// Whether going on after a write that failed is worth a try: not after a sync that failed, since what the system
  /// could not write it may have dropped; opening anew looks at that.
  package var mayResume: Bool {
    // Without its key a static feed can't be taken up again.
    guard failure != nil, key != nil, forkEvidence == nil, !isClosed, access == .readWrite else {
      return false
    }
    return !syncHasFailed
  }

  /// Goes on after a write that failed: forgets what memory has, and takes up what the files hold, as opening does.
  ///
  /// - Throws: ``FeedError/Code/storage`` where it still fails; the feed stays as it was.
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
