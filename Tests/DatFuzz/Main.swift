internal import DatFuzzing
internal import Foundation

/// The entry of libFuzzer's own `main`: takes the function that runs one input.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ run: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The target that `DAT_FUZZ_TARGET` names.
private let target: FuzzTarget = {
  guard let target = FuzzTarget(rawValue: environment["DAT_FUZZ_TARGET"] ?? "") else {
    fail(
      "DAT_FUZZ_TARGET must be one of: "
        + FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))
  }
  return target
}()

private var environment: [String: String] { ProcessInfo.processInfo.environment }

private func fail(_ reason: String) -> Never {
  FileHandle.standardError.write(Data("\(reason)\n".utf8))
  exit(2)
}

/// Runs one input. libFuzzer's own `main`, which is linked and not called, wants this name.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  target.run(Array(UnsafeBufferPointer(start: data, count: size)))
  return 0
}

/// Writes a folder of inputs to start from for each target, and prints the targets' names.
private func writeSeeds(to path: String) {
  do {
    for target in FuzzTarget.allCases {
      let folder = URL(fileURLWithPath: path).appendingPathComponent(target.rawValue)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      for (number, seed) in try target.seeds().enumerated() {
        try Data(seed).write(to: folder.appendingPathComponent("seed-\(number)"))
      }
      print(target.rawValue)
    }
  } catch {
    fail("The seeds can't be written: \(error)")
  }
}

/// `dat-fuzz`: libFuzzer's options and folders, for the target that `DAT_FUZZ_TARGET` names; with
/// `DAT_FUZZ_SEEDS` it only writes the seeds.
@main
struct Main {
  static func main() {
    if let path = environment["DAT_FUZZ_SEEDS"] { return writeSeeds(to: path) }
    _ = target
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    exit(withUnsafeMutablePointer(to: &arguments) { runDriver(&count, $0, fuzzOneInput) })
  }
}
