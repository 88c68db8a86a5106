internal import ArgumentParser
internal import DatSwarm
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive
internal import RandomAccessStorage

/// The options for finding the peers of an archive.
struct ArchivePeers: ParsableArguments {
  @Option(help: ArgumentHelp("A peer; may be given several times.", valueName: "host:port"))
  var connect: [String] = []

  @Option(
    help: ArgumentHelp("Accept peers here; port 0 takes any free one.", valueName: "host:port"))
  var listen: [String] = []

  @OptionGroup var discovery: DiscoveryOptions
  @OptionGroup var lookup: ArchiveNames

  @Option(help: ArgumentHelp("Give up when nothing came for this long.", valueName: "seconds"))
  var timeout: Double = 30

  func validate() throws {
    guard timeout > 0, timeout.isFinite, timeout < 1e9 else {
      throw ValidationError("--timeout takes a number of seconds above 0.")
    }
  }

  /// The longest wait of a read.
  var reading: ArchiveReadOptions { ArchiveReadOptions(timeout: .seconds(timeout)) }

  /// Opens the connections of an archive.
  ///
  /// - Parameter output: receives reports on them; nil for none, if standard output is for the answer.
  /// - Parameter watching: called with everything that happens.
  func join(
    _ archive: Archive, output: Output?, watching: (@Sendable (SwarmEvent) -> Void)? = nil
  ) async throws -> ArchiveSwarm {
    let addresses = try connect.map { try PeerAddress(parsing: $0) }
    let endpoints = try listen.map { try ListenAddress(parsing: $0) }
    try DescriptorLimit.check(isOnline: true)
    let sources = try discovery.sources(
      hasAddresses: !addresses.isEmpty || !endpoints.isEmpty, folder: nil, mayAsk: false)
    let swarm = Swarm(sources: sources)
    let events = await swarm.events()
    let reporting = Task { [verbose = discovery.verbose] in
      guard let output else { return }
      await SwarmReport(output: output, isVerbose: verbose).follow(events)
    }
    if let watching {
      let events = await swarm.events()
      Task { for await event in events { watching(event) } }
    }
    for endpoint in endpoints {
      try await swarm.listen(host: endpoint.host, port: endpoint.port)
    }
    if endpoints.isEmpty, !sources.isEmpty {
      _ = try await swarm.listen(preferring: Swarm.datPorts)
    }
    try await swarm.join(archive)
    for address in addresses { await swarm.connect(to: address, about: archive.discoveryKey) }
    return ArchiveSwarm(swarm: swarm, reporting: reporting)
  }
}

/// The connections of an archive, and the task that reports on them.
struct ArchiveSwarm {
  let swarm: Swarm
  let reporting: Task<Void, Never>

  func close() async {
    reporting.cancel()
    await swarm.close()
  }
}

/// The target of a command: a folder with an archive, or a link to one.
enum ArchiveTarget {
  case folder(String, Archive.FolderKind)
  case link(ArchiveLink)

  init(parsing text: String) throws {
    let isThere = FileManager.default.fileExists(atPath: text)
    if isThere, let kind = try Archive.kind(of: text) {
      self = .folder(text, kind)
    } else if let link = ArchiveLink(text) {
      self = .link(link)
    } else if isThere {
      let look = try FolderLook(text)
      if let words = look.words {
        throw ValidationError("There is no archive in \(SafeText.line(text)): \(words)")
      }
      throw ValidationError(
        "There is no archive in \(text): it has neither a .dat nor the feeds metadata and content. "
          + "`dat share \(text)` makes one of its files.")
    } else if text.hasPrefix("dat://") || text.contains("://") {
      throw ValidationError(
        "\(SafeText.line(text, limit: 200)) has no key in it: give the 64 hex digits of the archive's key."
      )
    } else {
      throw ValidationError("There is no folder \(text), and it is not a link to an archive.")
    }
  }

  /// The version in a link.
  var version: UInt64? { if case .link(let link) = self { link.version } else { nil } }
  /// The path in a link.
  var path: ArchivePath { if case .link(let link) = self { link.path } else { .root } }

  /// Opens the archive of a folder.
  static func open(
    _ folder: String, _ kind: Archive.FolderKind, _ access: StorageAccess,
    options: Archive.Options = Archive.Options()
  ) async throws -> Archive {
    switch kind {
    case .workFolder(let path):
      try await Archive.open(workFolder: path, access: access, options: options)
    case .feeds: try await Archive.open(folder: folder, access: access, options: options)
    @unknown default:
      throw ValidationError("\(folder) holds an archive of a kind that this dat does not know.")
    }
  }

  /// Runs `body` with the archive open for reading: that of a folder as it is there, that of a link from peers,
  /// of which only what is needed is fetched.
  func view<Result>(
    _ peers: ArchivePeers, _ body: (Archive, ArchiveReadOptions) async throws -> Result
  ) async throws -> Result {
    switch self {
    case .folder(let folder, let kind):
      let archive = try await Self.open(folder, kind, .readOnly)
      let output = Output(json: false)
      await output.findings(of: archive)
      if let words = await archive.forkWords(in: folder) { output.failure(words) }
      let result = await Swift.Result.of {
        try await Self.withPeers(of: archive, peers) {
          try await body(archive, ArchiveReadOptions(wait: false, timeout: peers.reading.timeout))
        }
      }
      try await archive.close()
      return try result.get()
    case .link(let link):
      let archive = try await Archive.inMemory(options: Self.passing(link.key))
      let swarm = try await peers.join(archive, output: nil)
      let result = await Swift.Result.of {
        try await Self.untilNewest(archive, peers.timeout)
        return try await body(archive, peers.reading)
      }
      let pause = await archive.downloadPause
      await swarm.close()
      try await archive.close()
      if pause != nil, case .failure = result { throw Self.tooMuch(link.key) }
      return try result.get()
    }
  }

  /// Bytes of memory for each feed of an archive that is only looked at.
  static let lookedAtBytes: UInt64 = 256 << 20

  /// The options of an archive in memory of which only what is needed is fetched, and nothing kept for long.
  static func passing(_ key: PublicKey) -> Archive.Options {
    var options = Archive.Options(key: key, sparse: true, sparseMetadata: true)
    options.discardsContent = true
    options.disk.perWriter = lookedAtBytes
    return options
  }

  private static func tooMuch(_ key: PublicKey) -> ValidationError {
    ValidationError(
      "This takes more than \(lookedAtBytes >> 20) MiB of memory. Clone the archive, and look into the folder: "
        + "dat clone dat://\(key.hex) FOLDER")
  }

  /// Runs `body`; if peers are given, bytes that are not in the folder come from them.
  private static func withPeers<Result>(
    of archive: Archive, _ peers: ArchivePeers, _ body: () async throws -> Result
  ) async throws -> Result {
    guard !peers.connect.isEmpty else { return try await body() }
    let copy = try await Archive.inMemory(options: passing(archive.key))
    let swarm = try await peers.join(copy, output: nil)
    let result = await Swift.Result.of {
      try await untilNewest(copy, peers.timeout)
      await archive.readMissing(from: copy)
      return try await body()
    }
    let pause = await copy.downloadPause
    await swarm.close()
    try await copy.close()
    if pause != nil, case .failure = result { throw tooMuch(archive.key) }
    return try result.get()
  }

  /// Returns once the first peer has announced how long the archive is.
  static func untilNewest(_ archive: Archive, _ timeout: Double) async throws {
    do {
      _ = try await archive.metadata.update(to: 1, timeout: .seconds(timeout))
    } catch let error as FeedError where error.code == .timeout {
      throw ValidationError(
        "Nobody with this archive was found in \(Int(timeout)) seconds. Name a peer with --connect, or try "
          + "again when somebody shares it.")
    }
    // The newest entry that the peer announces comes with a signature over the length.
    let announced = await archive.metadata.remoteLength
    if announced > 1 {
      _ = try? await archive.metadata.update(to: announced, timeout: .seconds(min(timeout, 5)))
    }
  }
}

extension Result where Failure == any Error {
  /// Returns the result of an asynchronous call, or its error.
  static func of(_ body: () async throws -> Success) async -> Self {
    do { return .success(try await body()) } catch { return .failure(error) }
  }
}

/// A runner of commands about archives: an error is reported in a sentence, and ends the process with 1.
enum ArchiveRun {
  static func run(json: Bool, _ body: (Output) async throws -> Void) async throws {
    let output = Output(json: json)
    do { try await body(output) } catch { throw output.ending(with: error) }
  }
}
