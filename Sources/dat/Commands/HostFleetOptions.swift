internal import ArgumentParser
internal import DatCoding
internal import DatHost
internal import Foundation

/// The options of a host that is a member of a fleet.
struct FleetOptionGroup: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The hosts that share the keys: srv:NAME for SRV records, with @SERVER after it for a DNS server other than the "
        + "system's, or a file with a name a line and an address after it.",
      valueName: "srv:name|file"))
  var fleet: String?

  @Option(
    help: ArgumentHelp(
      "The secret of the fleet, as dat host new-fleet-key makes one.", valueName: "file"),
    completion: .file())
  var fleetKey: String?

  @Option(
    name: .customLong("self"),
    help: ArgumentHelp(
      "This host's name in the fleet: the target of its SRV record, or its name in the file.",
      valueName: "name"))
  var selfName: String?

  @Option(help: ArgumentHelp("How many hosts of the fleet hold each key.", valueName: "number"))
  var copies = 2

  @Option(
    help: ArgumentHelp(
      "Free the space of a key that this host holds no longer after so many days, once two others have proved that they "
        + "have it; without it nothing is freed.", valueName: "days"))
  var keep: Double?

  @Option(
    help: ArgumentHelp(
      "Copy the keys of a host again that has been missing for so many seconds.",
      valueName: "seconds"))
  var grace: UInt32 = 600

  func validate() throws {
    guard copies >= 1, copies <= 16 else {
      throw ValidationError("--copies takes a number from 1 to 16.")
    }
    if let keep, !(keep >= 0 && keep <= 36_500) {
      throw ValidationError("--keep takes a number of days, up to 36500.")
    }
    guard fleet != nil || (fleetKey == nil && selfName == nil) else {
      throw ValidationError("--fleet-key and --self are for a fleet: name its hosts with --fleet.")
    }
  }

  /// Returns the options; nil for a host that is in no fleet.
  ///
  /// - Throws: a sentence if the file of hosts or of the key can't be read.
  func options() async throws -> ReplicaHost.FleetOptions? {
    guard let fleet else { return nil }
    let directory = try FleetDirectory(parsing: fleet)
    // Looked at again when it is used; a file that can't be read now was mistyped.
    if case .file(let path) = directory { _ = try InputSource(path: path) }
    guard let selfName, !selfName.isEmpty, selfName.utf8.count <= 255 else {
      throw ValidationError("--self NAME is this host's name among the hosts of --fleet.")
    }
    guard let fleetKey else {
      throw ValidationError(
        "--fleet-key FILE has the secret of the fleet; dat host new-fleet-key FILE makes one.")
    }
    let secret = try FleetSecret(
      reading: try await InputSource(path: fleetKey).bytes(limit: 1 << 20))
    var options = ReplicaHost.FleetOptions(directory: directory, name: selfName, secret: secret)
    options.copies = copies
    options.grace = .seconds(Int64(grace))
    options.keep = keep.map { .seconds($0 * 86_400) }
    if case .file = directory { options.look = .seconds(2) }
    return options
  }
}

/// `dat host new-fleet-key`: the secret of a new fleet.
struct HostNewFleetKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new-fleet-key",
    abstract: "Make the secret by which the hosts of a fleet know each other.",
    discussion: """
      Copy the file to each host, and name it with --fleet-key. Whoever has it can add keys to the fleet, take them off, \
      and pass for any of its hosts.

      EXAMPLES
        dat host new-fleet-key fleet.key
      """)

  @Argument(help: "The file to make; one that is there is left as it is.", completion: .file())
  var file: String

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func run() async throws {
    let output = Output(json: json)
    do {
      guard !FileManager.default.fileExists(atPath: file) else {
        throw ValidationError("\(SafeText.line(file)) is there already, and is left as it is.")
      }
      try PrivateFile.write(
        Data((FleetSecret.random() + "\n").utf8), to: URL(fileURLWithPath: file))
      if json {
        output.object(["event": "made", "file": .string(file)])
      } else {
        output.line(output.dim("a new fleet key is in \(SafeText.line(file))"))
      }
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }
}
