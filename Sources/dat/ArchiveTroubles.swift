internal import ArgumentParser
internal import Hypercore
internal import Hyperdrive

/// Says what is the matter with an archive, once for each thing: two histories, a disk without room.
actor ArchiveTroubles {
  private let archive: Archive
  private let folder: String
  private let output: Output
  /// The troubles that were reported and still last.
  private var said: Set<Kind> = []

  private enum Kind {
    case fork
    case pause
    case folder
  }

  init(_ archive: Archive, in folder: String, output: Output) {
    self.archive = archive
    self.folder = folder
    self.output = output
  }

  /// Looks how things stand, and says what is new.
  func look() async {
    say(.fork, await archive.forkWords(in: folder))
    let pause = await archive.downloadPause?.description
    let failure = await archive.folderFailure?.reason
    say(.pause, pause)
    // A pause fails the folder as well, in the same words.
    let isPause = pause.map { failure?.utf8.elementsEqual($0.utf8) == true } ?? false
    say(.folder, isPause ? nil : failure)
  }

  private func say(_ kind: Kind, _ sentence: String?) {
    guard let sentence else {
      said.remove(kind)
      return
    }
    if said.insert(kind).inserted { output.problem(sentence) }
  }
}

extension Output {
  /// Says what opening an archive found, a line each on standard error.
  func findings(of archive: Archive) async {
    for sentence in await archive.findings() { failure(sentence) }
  }
}

extension Archive {
  /// Makes sure that there is one history.
  ///
  /// - Throws: a sentence if there are two.
  func checkHistory(in folder: String) throws {
    if let words = forkWords(in: folder) { throw ValidationError(words) }
  }

  /// Makes sure that more can be fetched.
  ///
  /// - Throws: a sentence if a limit of the disk is reached, or it is full.
  func checkRoom(in folder: String) throws {
    guard let downloadPause else { return }
    throw ValidationError("\(downloadPause) `dat pull \(folder)` goes on from here.")
  }

  /// The faults that opening the archive found in its feeds, except forks: a sentence each, once.
  func findings() async -> [String] {
    var sentences: [String] = []
    for feed in [metadata, content] {
      for finding in await feed?.repairReport.findings ?? [] where finding != .forked {
        let sentence = "\(finding)"
        if !sentences.contains(sentence) { sentences.append(sentence) }
      }
    }
    return sentences
  }

  /// A sentence about why the archive in a folder can't be written.
  func notWritableWords(in folder: String) -> String {
    if let words = forkWords(in: folder) { return words }
    if secretKey != nil {
      return
        "The archive in \(folder) can't be written as it is: of what its key signed, not all is here. "
        + "`dat doctor \(folder)` says what is missing, and `dat sync \(folder)` fetches it from peers."
    }
    return "Archive not writable, cannot use share. Please use sync to resume download."
  }

  /// A sentence about the archive's two histories; nil if it has one.
  func forkWords(in folder: String) -> String? {
    guard fork != nil else { return nil }
    let what =
      "This archive has two histories, both signed with its key: it was written in two places, such as a folder "
      + "and its copy. What is here stays and can be read; nothing newer is taken in or fetched. "
    return secretKey == nil
      ? what + "Ask its owner for a new link."
      : what
        + "To go on, keep the files of both in a new folder (`dat recover \(folder) NEW` saves those of this "
        + "one), and share that: it gets a new link."
  }
}
