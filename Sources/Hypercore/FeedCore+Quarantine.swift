internal import HypercoreCrypto
internal import RandomAccessStorage

// What the reference does not have: the memory of a fork.

extension FeedCore {
  /// Takes the feed out of use for good: nothing is written to it any more, here or after the next
  /// opening. What is stored can still be read.
  ///
  /// - Throws: ``FeedError/Code/damaged`` where the evidence does not prove two histories: then what is
  ///   stored here is not what was signed.
  func quarantine(_ evidence: ForkEvidence) throws(FeedError) {
    guard forkEvidence == nil else { return }
    guard evidence.isProven else {
      throw .damaged(
        "Node \(evidence.node) is stored here with another hash than the key signed, but the "
          + "signature here does not cover it: the files are damaged. Have `dat doctor` look at them."
      )
    }
    forkEvidence = evidence
    keepForkEvidence()
    onChange?(.stopped)
  }

  /// Writes the evidence of the fork down.
  func keepForkEvidence() {
    guard let evidence = forkEvidence else { return }
    do {
      let bytes = try evidence.fileBytes()
      try files.fork.truncate(to: UInt64(bytes.count))
      try files.fork.write(bytes, at: 0)
      try files.fork.sync()
    } catch {
      // It holds as long as the feed is open, and is found again.
      failure = FeedError.wrapping(error)
    }
  }

  /// Reads the evidence of a fork that was found before.
  func readForkEvidence() throws(FeedError) {
    let length = try files.fork.length()
    guard length > 0, let key else { return }
    guard length <= ForkEvidence.maximumFileSize,
      let evidence = ForkEvidence(
        fileBytes: try files.fork.read(at: 0, count: Int(length))), evidence.key == key,
      evidence.isProven
    else {
      report.findings.append(.forkEvidenceUnreadable)
      return
    }
    forkEvidence = evidence
    report.findings.append(.forked)
  }
}
