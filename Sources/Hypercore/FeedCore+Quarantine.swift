internal import HypercoreCrypto
internal import RandomAccessStorage

// What the reference does not have: the memory of a fork, and of which folder the feed was written in.

extension FeedCore {
  // MARK: Forks

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
    do {
      let bytes = try evidence.fileBytes()
      try files.fork.truncate(to: UInt64(bytes.count))
      try files.fork.write(bytes, at: 0)
      try files.fork.sync()
    } catch {
      // It holds as long as the feed is open, and is found again.
      failure = FeedError.wrapping(error)
    }
    onChange?(.stopped)
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

  // MARK: Copies

  /// Notices that the folder was copied or restored since the feed was written there.
  ///
  /// The marker holds what tells the file `key` from a copy of it. It is made by the first append, so that
  /// opening a folder that Node wrote, and closing it, changes nothing. Its loss, or a failure to read or
  /// write it, is no reason to keep anybody from writing.
  func checkMarker(isNew: Bool) {
    let stored = (try? files.marker.read(at: 0, count: Self.markerSize)) ?? []
    guard !stored.isEmpty, !isNew, length > 0 else {
      needsMarker = true
      return
    }
    guard let identity = folderIdentity, stored != identity else { return }
    isCopy = true
    report.findings.append(.folderCopied)
  }

  /// Notes that this is the folder that the feed is written in, unless that is known.
  func mark() {
    guard needsMarker else { return }
    needsMarker = false
    if let identity = folderIdentity { try? files.marker.write(identity, at: 0) }
  }

  /// Notes that a peer has proven that there is more of the feed: the folder was restored without leaving a
  /// trace.
  func noteBehind() {
    isCopy = true
    needsMarker = true
  }

  /// Settles that there is no more of the feed elsewhere: this folder is where it is written from now
  /// on.
  package func confirmFolder() {
    guard isCopy else { return }
    isCopy = false
    needsMarker = true
    mark()
  }

  /// Whether the marker is another folder's; nil where there is none, or nothing to compare it with.
  var isMarkedElsewhere: Bool? {
    guard let identity = folderIdentity,
      let stored = try? files.marker.read(at: 0, count: Self.markerSize), !stored.isEmpty
    else { return nil }
    return stored != identity
  }

  private static let markerSize = 128

  private var folderIdentity: [UInt8]? {
    guard let identity = try? storage.identity(of: files.key.name) else { return nil }
    return Array("\(identity)\n".utf8)
  }
}
