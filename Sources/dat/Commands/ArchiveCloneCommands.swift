internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive
internal import RandomAccessStorage

/// `dat clone`.
struct ArchiveCloneCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clone", abstract: "Fetch an archive into a new folder.",
    discussion: """
      Ends when all files of the newest version are here. `dat pull` in the folder fetches what came later, \
      `dat sync` stays and follows.

      EXAMPLES
        dat clone dat://4c1f..e9 ~/site
        dat clone - ~/site --key-file key.txt
      """)

  @Argument(help: "A dat:// link, the archive's key in hex, or - to read one from standard input.")
  var link: String

  @OptionGroup var keyFile: KeyFile

  @Argument(help: "The new folder; named by the key if it is left out.", completion: .directory)
  var dir: String?

  @Flag(help: "Print JSON.")
  var json = false

  @Flag(help: "Fetch only the entries; no file is made.")
  var empty = false

  @OptionGroup var peers: ArchivePeers

  func run() async throws {
    try await ArchiveRun.run(json: json) { output in
      let given = try await keyFile.link(link)
      let text = try await peers.lookup.link(ArchiveManifest.link(at: given) ?? given)
      guard let link = ArchiveLink(text) else {
        throw ValidationError(
          "\(SafeText.line(text, limit: 200)) has no key in it: give the 64 hex digits of the archive's key."
        )
      }
      let folder = dir ?? link.key.hex
      try checkTarget(folder)
      if link.version != nil {
        output.failure(
          "the newest version is fetched; `dat checkout LINK VERSION DIR` makes an old one")
      }
      var options = Archive.Options(key: link.key)
      options.sparse = empty
      let isNew = !FileManager.default.fileExists(atPath: folder)
      let archive = try await Archive.open(workFolder: folder, options: options)
      let result = await Result<Void, any Error>.of {
        try await fetch(archive, folder, output)
      }
      let hasNothing = await archive.metadata.length == 0
      try await archive.close()
      if case .failure = result, isNew, hasNothing {
        // Nothing of it came: the folder would be in the way of another attempt.
        try? FileManager.default.removeItem(atPath: folder)
      }
      try result.get()
    }
  }

  private func checkTarget(_ folder: String) throws {
    if try Archive.kind(of: folder) != nil {
      throw ValidationError(
        "There is an archive in \(folder) already: `dat pull \(folder)` fetches what is new of it.")
    }
    // A clone that was killed at its very beginning leaves a .dat without a key.
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder).filter {
      !$0.utf8.elementsEqual(".dat".utf8)
    }
    if let names, !names.isEmpty {
      throw ValidationError("\(folder) is not empty: name a folder that is not there yet.")
    }
  }

  private func fetch(_ archive: Archive, _ folder: String, _ output: Output) async throws {
    let swarm = try await peers.join(archive, output: peers.discovery.verbose ? output : nil)
    let result = await Result<Void, any Error>.of {
      if empty {
        try await ArchiveTarget.untilNewest(archive, peers.timeout)
        _ = try await archive.metadata.download(
          DownloadRange(0..<archive.metadata.length), timeout: .seconds(peers.timeout))
      } else {
        try await ArchiveFetch(archive: archive, folder: folder, timeout: peers.timeout)
          .untilComplete()
      }
    }
    await swarm.close()
    try result.get()
    try await archive.checkHistory(in: folder)
    await output.leftOut(archive)
    try await output.status(archive, verb: "Cloned")
  }
}

/// `dat pull`.
struct ArchivePullCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull", abstract: "Fetch what is new of the archive in a folder, then end.",
    discussion: """
      EXAMPLES
        dat pull ~/site
        dat pull ~/site --connect 192.0.2.7:3282
      """)

  @Argument(help: "The folder.", completion: .directory)
  var dir = "."

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup var peers: ArchivePeers

  func run() async throws {
    try await ArchiveRun.run(json: json) { output in
      let archive = try await Archive.reader(in: dir)
      await output.findings(of: archive)
      let result = await Result<Void, any Error>.of {
        let swarm = try await peers.join(archive, output: peers.discovery.verbose ? output : nil)
        let result = await Result<Void, any Error>.of {
          try await untilSomebody(archive)
          try await ArchiveFetch(archive: archive, folder: dir, timeout: peers.timeout)
            .untilComplete()
        }
        await swarm.close()
        try result.get()
        try await archive.checkHistory(in: dir)
        await output.leftOut(archive)
        try await output.status(archive, verb: "Pulled")
      }
      try await archive.close()
      try result.get()
    }
  }

  /// Returns once a peer has announced what it has.
  private func untilSomebody(_ archive: Archive) async throws {
    let end = ContinuousClock.now + .seconds(peers.timeout)
    while await archive.metadata.remoteLength == 0 {
      // If nothing can be fetched, no Want is sent either, and no peer says what it has.
      try await archive.checkRoom(in: dir)
      if ContinuousClock.now > end {
        throw ValidationError(
          "Nobody with this archive was found in \(Int(peers.timeout)) seconds. What is here is as it was."
        )
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}

extension Archive {
  /// Opens the archive in a folder to fetch more of it.
  static func reader(in folder: String) async throws -> Archive {
    guard case .workFolder(let path)? = try kind(of: folder) else {
      throw ValidationError(
        "There is no archive with its files in \(folder): `dat clone LINK` makes one.")
    }
    let archive = try await open(workFolder: path)
    if await archive.isWritable {
      try await archive.close()
      throw ValidationError(
        "The archive in \(folder) is your own: `dat share \(folder)` takes in what changed and serves it."
      )
    }
    return archive
  }
}

extension Output {
  /// Prints the state of an archive: for people a line or two, for programs the object of `dat status`.
  func status(_ archive: Archive, verb: String? = nil) async throws {
    let content = await archive.content
    if json {
      var (files, bytes): (UInt64, UInt64) = (0, 0)
      for try await item in archive.entries(
        recursive: true, options: ArchiveReadOptions(wait: false))
      where item.stat.kind == .file {
        files += 1
        bytes &+= item.stat.size
      }
      let contentFields: JSON =
        if let content {
          .object([
            "key": .string(content.key?.hex ?? ""),
            "length": ArchiveOutput.integer(await content.length),
            "downloaded": ArchiveOutput.integer(await content.downloaded()),
          ])
        } else { .null }
      object([
        "key": .string(archive.key.hex), "version": ArchiveOutput.integer(await archive.version),
        "files": ArchiveOutput.integer(files), "byteLength": ArchiveOutput.integer(bytes),
        "writable": .bool(await archive.secretKey != nil),
        "metadata": .object([
          "length": ArchiveOutput.integer(await archive.metadata.length),
          "downloaded": ArchiveOutput.integer(await archive.metadata.downloaded()),
        ]), "content": contentFields,
      ])
      return
    }
    if verb == nil { line(bold("dat://\(archive.key.hex)")) }
    try await summary(verb ?? "Files", archive)
    line("Version: \(await archive.version)")
  }
}

/// `dat status`.
struct ArchiveStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show the key, the files and the version of an archive.",
    discussion: """
      With --json one object: key, version, files, byteLength, writable, metadata (length, downloaded), content \
      (key, length, downloaded).

      EXAMPLES
        dat status ~/site
      """)

  @Argument(help: "A folder with an archive, or a dat:// link.", completion: .directory)
  var archive = "."

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup var peers: ArchivePeers

  func run() async throws {
    try await ArchiveRun.run(json: json) { output in
      let target = try ArchiveTarget(parsing: try await peers.lookup.link(archive))
      try await target.view(peers) { archive, reading in
        // For a link all entries are needed to count the files.
        if reading.wait { for try await _ in archive.entries(recursive: true, options: reading) {} }
        try await output.status(archive)
      }
    }
  }
}

/// `dat keys`.
struct ArchiveKeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Show an archive's keys.",
    discussion: """
      The link lets whoever has it read. The secret key, shown by --secret, lets them write: two who write apart \
      make a fork that nobody can mend.

      EXAMPLES
        dat keys ~/site
      """)

  @Argument(help: "The folder.", completion: .directory)
  var dir = "."

  @Flag(help: "Show the discovery key, too, by which the archive is found in public.")
  var discovery = false

  @Flag(help: "Show the secret key, if it is here, as 128 hex digits.")
  var secret = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await ArchiveRun.run(json: json) { output in
      guard case .folder(let folder, let kind) = try ArchiveTarget(parsing: dir) else {
        throw ValidationError("Give a folder: of a link there is nothing more to show.")
      }
      let archive = try await ArchiveTarget.open(folder, kind, .readOnly)
      let key = archive.key
      let secretKey = await archive.secretKey
      try await archive.close()
      if secret, secretKey == nil {
        throw ValidationError(
          "The secret key of this archive is not here: it is where it was made.")
      }
      if output.json {
        var fields: [(String, JSON)] = [
          ("key", .string(key.hex)), ("link", .string("dat://\(key.hex)")),
        ]
        if discovery { fields.append(("discoveryKey", .string(key.discoveryKey.hex))) }
        if secret { fields.append(("secretKey", .string(secretKey?.hex ?? ""))) }
        output.value(.members(fields))
        return
      }
      output.line("dat://\(key.hex)")
      if discovery { output.line("discovery key: \(key.discoveryKey.hex)") }
      if secret, let secretKey { output.line("secret key: \(secretKey.hex)") }
    }
  }
}
