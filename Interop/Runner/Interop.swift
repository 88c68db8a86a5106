import Foundation

/// Who is at an end.
enum Side: String, Sendable, CustomStringConvertible {
  case node = "Node"
  case swift = "Swift"

  var other: Side { self == .node ? .swift : .node }
  var description: String { rawValue }
}

/// Puts Node and Swift on either end of feeds, databases, archives and rooms, and prints a table of what came out.
///
///     dat-interop FOLDER-OF-SCRIPTS NODE [FILTER]
///
/// NODE is the executable; its packages come from `NODE_PATH`. FILTER keeps the rows that contain it.
@main
struct Interop {
  private struct Row {
    let area: String
    let what: String
    let run: @Sendable () async throws -> String
  }

  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count >= 3 else {
      FileHandle.standardError.write(Data("usage: dat-interop SCRIPTS NODE [FILTER]\n".utf8))
      exit(64)
    }
    let place = NodePeer.Place(
      node: URL(fileURLWithPath: arguments[2]), scripts: URL(fileURLWithPath: arguments[1]))
    let filter = arguments.count > 3 ? arguments[3] : ""
    signal(SIGPIPE, SIG_IGN)
    print("| area | what | result |\n|---|---|---|")
    var failures = 0
    var count = 0
    for row in try rows(place) where filter.isEmpty || "\(row.area) \(row.what)".contains(filter) {
      count += 1
      let result: String
      do { result = "passed: " + (try await row.run()) } catch {
        failures += 1
        let reason = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
        result = "**FAILED**: \(reason)"
      }
      print("| \(row.area) | \(row.what) | \(result) |")
      fflush(nil)
    }
    print("\n\(count) rows, \(failures) failed.")
    exit(failures == 0 ? 0 : 1)
  }

  private static func rows(_ place: NodePeer.Place) throws -> [Row] {
    let sides: [Side] = [.node, .swift]
    let feeds = FeedCases(node: place)
    let databases = DatabaseCases(node: place)
    var rows: [Row] = []
    for shape in try FeedCases.shapes() {
      for giver in sides {
        rows.append(
          Row(area: "feed", what: "`\(shape)`, \(giver) to \(giver.other)") {
            try await feeds.run(shape: shape, from: giver, to: giver.other, live: true)
          })
      }
    }
    for giver in sides {
      rows.append(
        Row(area: "feed", what: "`json-twenty`, not live, \(giver) to \(giver.other)") {
          try await feeds.run(shape: "json-twenty", from: giver, to: giver.other, live: false)
        })
    }
    for first in sides {
      rows.append(
        Row(area: "folder", what: "feed, in turn, \(first) first") {
          try await feeds.alternate(first: first, turns: 8)
        })
      rows.append(
        Row(area: "folder", what: "database, in turn, \(first) first") {
          try await databases.alternate(first: first, turns: 8)
        })
    }
    for seed in UInt64(1)...6 {
      for first in sides {
        let writers: [Side] =
          seed.isMultiple(of: 2)
          ? [first, first.other, first, first.other] : [first, first.other]
        rows.append(
          Row(
            area: "database",
            what: "\(writers.count) writers, owner \(first), random history \(seed)"
          ) { try await databases.run(seed: seed, sides: writers, steps: 40) })
      }
    }
    let archives = ArchiveCases(node: place)
    for owner in sides {
      rows.append(
        Row(area: "archive", what: "live, \(owner) to \(owner.other)") {
          try await archives.follow(owner: owner)
        })
    }
    for first in sides {
      rows.append(
        Row(area: "archive", what: "a clone's folder in turn, \(first) first") {
          try await archives.alternate(first: first)
        })
    }
    for owner in sides {
      rows.append(
        Row(area: "archive", what: "one file of many, \(owner) to \(owner.other)") {
          try await archives.sparse(owner: owner)
        })
    }
    var rooms = [("", ChatCases(node: place, isWorkshop: false))]
    if ProcessInfo.processInfo.environment["DAT_WORKSHOP"] != nil {
      rooms.append((", workshop's class", ChatCases(node: place, isWorkshop: true)))
    }
    for (note, cases) in rooms {
      for maker in sides {
        for makerCalls in [false, true] {
          let caller = makerCalls ? maker : maker.other
          rows.append(
            Row(area: "chat", what: "room of \(maker), \(caller) calls\(note)") {
              try await cases.run(maker: maker, joiner: maker.other, makerCalls: makerCalls)
            })
        }
      }
    }
    return rows
  }
}
