internal import Foundation

/// This test process once more, with only some of its tests, under a limit of open files.
public enum LimitedProcess {
  /// Set in the process that is started, so that it knows to do the work.
  public static let variable = "DAT_LIMITED_PROBE"

  /// Whether this is such a process.
  public static var isOne: Bool { ProcessInfo.processInfo.environment[variable] != nil }

  /// Runs the tests that a filter names.
  ///
  /// - Returns: whether there were any and all passed, and what they printed.
  public static func run(_ filter: String, openFiles: Int) throws -> (passed: Bool, output: String)
  {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = [
      "-c", "ulimit -n \(openFiles) && exec \"$0\" \"$@\"", CommandLine.arguments[0],
      "--testing-library", "swift-testing", "--filter", filter,
    ]
    process.environment = ProcessInfo.processInfo.environment.merging([variable: "1"]) { $1 }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus == 0 && text.contains("in 1 suite passed"), text)
  }
}
