internal import Foundation

/// This test process again, with only some of its tests, under a limit of open files.
public enum LimitedProcess {
  /// The variable that is set in the new process, so that it knows to do the work.
  public static let variable = "DAT_LIMITED_PROBE"

  /// True if this is such a process.
  public static var isOne: Bool { ProcessInfo.processInfo.environment[variable] != nil }

  /// Runs the tests that match a filter.
  ///
  /// - Returns: true if there were any and all passed, and their output.
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
