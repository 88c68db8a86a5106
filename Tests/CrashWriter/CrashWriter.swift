import Foundation
import HyperDB
import Hypercore

/// Appends to a feed and puts into a database below a folder until it is killed, and says on standard
/// output what was acknowledged: `a` and `p`, each with a number.
@main
struct CrashWriter {
  static func main() async throws {
    guard CommandLine.arguments.count == 3 else {
      throw CocoaError(.fileNoSuchFile)
    }
    let folder = CommandLine.arguments[1]
    let durability: Durability = CommandLine.arguments[2] == "synced" ? .synced : .buffered
    var options = Feed.Options()
    options.durability = durability
    let feed = try await Feed.open(folder: folder + "/feed", options: options)
    var dbOptions = HyperDBOptions()
    dbOptions.durability = durability
    let db = try await HyperDB.open(folder: folder + "/db", options: dbOptions)
    var next = await feed.length
    while true {
      try await feed.append(Array("block \(next)".utf8))
      say("a \(next)\n")
      try await db.put("key/\(next % 20)", Array("value \(next)".utf8))
      say("p \(next)\n")
      next += 1
    }
  }

  private static func say(_ line: String) {
    FileHandle.standardOutput.write(Data(line.utf8))
  }
}
