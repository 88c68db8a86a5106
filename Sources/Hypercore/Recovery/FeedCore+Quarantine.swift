internal import HypercoreCrypto
internal import RandomAccessStorage

// The memory of a fork, which the reference does not have.

extension FeedCore {
  /// Takes the feed out of use for good: nothing is written to it any more, now or after it is opened again.
  /// What is stored can still be read.
  ///
  /// - Throws: ``FeedError/Code/damaged`` if the evidence does not prove two histories: in that case what is
  ///   stored here is not what was signed.
  func quarantine(_ evidence: ForkEvidence) throws(FeedError) {
    guard forkEvidence == nil else { return }
    guard evidence.isProven else {
      throw .damaged(
        "Node \(evidence.node) is stored here with another hash than the key signed, but the "
          + "signature here does not cover it: the files are damaged. Have `dat doctor` look at them."
      )
    }
    standing.stop(evidence)
    keepForkEvidence()
    onChange?(.stopped)
  }

  /// Writes the evidence of the fork to its file.
  func keepForkEvidence() {
    guard let evidence = forkEvidence else { return }
    do {
      let bytes = try evidence.fileBytes()
      try files.fork.truncate(to: UInt64(bytes.count))
      try files.fork.write(bytes, at: 0)
      try files.fork.sync()
    } catch {
      // The evidence holds while the feed is open; after that the fork has to be found again.
      standing.fail(FeedError.wrapping(error))
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
      recovery.report.findings.append(.forkEvidenceUnreadable)
      return
    }
    standing.stop(evidence)
    recovery.report.findings.append(.forked)
  }
}
