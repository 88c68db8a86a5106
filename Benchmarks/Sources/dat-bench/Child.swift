internal import Foundation

/// Another process: this tool as the other side of a connection, or Node.
///
/// It prints its results as lines of JSON, and ends when its standard input does.
final class Child {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var waiting = Data()

  init(_ path: String, _ arguments: [String]) throws {
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  /// Starts this tool as another process.
  convenience init(_ arguments: [String]) throws {
    let path = Bundle.main.executablePath ?? CommandLine.arguments[0]
    try self.init(path, arguments)
  }

  /// Returns the next line that it prints, as an object.
  func next() throws -> [String: Any]? {
    while true {
      if let end = waiting.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Data(waiting[waiting.startIndex..<end])
        waiting = Data(waiting[(end + 1)...])
        if line.isEmpty { continue }
        return try JSONSerialization.jsonObject(with: line) as? [String: Any]
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { return nil }
      waiting.append(more)
    }
  }

  /// Returns the next line, which must have a field.
  func expect(_ field: String) throws -> [String: Any] {
    guard let object = try next(), object[field] != nil else {
      throw BenchFailure("the other process did not say \(field)")
    }
    return object
  }

  func end() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  func kill() {
    process.terminate()
    process.waitUntilExit()
  }
}

/// Prints one line of JSON for the parent.
func say(_ fields: [String: Any]) {
  guard let data = try? JSONSerialization.data(withJSONObject: fields) else { return }
  FileHandle.standardOutput.write(data + Data("\n".utf8))
}

/// Returns when standard input ends: the parent has finished, or is gone.
func untilInputEnds() async {
  await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
    Thread.detachNewThread {
      while !FileHandle.standardInput.availableData.isEmpty {}
      done.resume()
    }
  }
}
