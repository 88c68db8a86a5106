internal import ArgumentParser
internal import Foundation
internal import Hyperdrive

/// `dat LINK` and `dat DIR`, as the command of 2018 took them: a link or folder that is not a command's name
/// stands for the command that is meant.
enum BareArguments {
  /// Returns the arguments with the command written out.
  static func written(out arguments: [String]) -> [String] {
    guard let first = arguments.first, !first.hasPrefix("-"), !isCommand(first) else {
      return arguments
    }
    if ArchiveLink(first) != nil || NamedLink(first) != nil, !isFolder(first) {
      // A folder that already exists is continued.
      if arguments.count > 1, isFolder(arguments[1]), holdsArchive(arguments[1]) {
        return ["sync"] + arguments.dropFirst()
      }
      return ["clone"] + arguments
    }
    guard isFolder(first) else { return arguments }
    return [isReaders(first) ? "sync" : "share"] + arguments
  }

  private static func isCommand(_ name: String) -> Bool {
    name == "help"
      || Dat.configuration.subcommands.contains { $0.configuration.commandName == name }
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }

  private static func holdsArchive(_ path: String) -> Bool { (try? Archive.kind(of: path)) != nil }

  /// Returns whether an archive in a folder is another owner's: the owner's own has the file `metadata.ogd`.
  private static func isReaders(_ path: String) -> Bool {
    holdsArchive(path) && !FileManager.default.fileExists(atPath: path + "/.dat/metadata.ogd")
  }
}
