internal import Foundation

/// The reference packages on the same work, found through `NODE_PATH`.
struct NodeSide {
  /// The reason why there is none, for people.
  let absence: String?
  private let node: String
  private let script: String

  init(_ settings: Settings) {
    let script = (settings.interop ?? "../Interop/bench") + "/run.js"
    self.script = script
    node = "/usr/bin/env"
    if settings.isSwiftOnly {
      absence = "The Node side was not asked for."
    } else if !FileManager.default.fileExists(atPath: script) {
      absence = "The Node side is not at \(script)."
    } else if let child = try? Child(node, ["node", script, "--check"]),
      let told = try? child.next(), told["ok"] as? Bool == true
    {
      child.end()
      absence = nil
    } else {
      absence =
        "No Node side: node, or a package it needs, was not found. Set NODE_PATH to a folder with "
        + "hypercore, hyperdb and random-access-memory (see Interop/package.json)."
    }
  }

  /// Node's numbers for a row; empty if it has none.
  func measure(_ row: String, _ settings: Settings) throws -> [Sample] {
    guard absence == nil else { return [] }
    var arguments = ["node", script, row]
    if settings.isQuick { arguments.append("--quick") }
    arguments += ["--folder", Scratch.folder()]
    let child = try Child(node, arguments)
    defer { child.kill() }
    var samples: [Sample] = []
    while let told = try child.next() {
      guard let name = told["name"] as? String, let value = told["value"] as? Double,
        let unit = told["unit"] as? String
      else { continue }
      samples.append(Sample(name: name, value: value, unit: unit))
    }
    return samples
  }
}
