internal import Foundation

extension Archive {
  /// Tells when something in the archive's folder may have changed; several changes in a row are one.
  ///
  /// Looks at the sizes and times of the files every second: an import then reads what has changed alone.
  ///
  /// - Throws: ``ArchiveError`` with `folder` for an archive without one.
  public nonisolated func folderChanges() throws -> AsyncStream<Void> {
    AsyncStream { continuation in
      let task = Task { [weak self] in
        var last: Int?
        while !Task.isCancelled {
          try? await Task.sleep(for: .seconds(1))
          guard let self, !Task.isCancelled else { break }
          let state = await self.folderState()
          if let last, last != state { continuation.yield() }
          last = state
        }
        continuation.finish()
      }
      continuation.onTermination = { _ in task.cancel() }
    }
  }

  /// A number that changes with the files of the folder.
  private func folderState() -> Int {
    guard let files, let scan = try? FolderScan(files.folder, IgnoreRules()) else { return 0 }
    var hasher = Hasher()
    for found in scan.files {
      hasher.combine(found.path)
      hasher.combine(found.status)
    }
    return hasher.finalize()
  }
}
