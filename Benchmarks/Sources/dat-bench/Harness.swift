internal import Foundation

/// One measured number.
struct Sample {
  /// The name as in the table, such as `append.one.files`.
  var name: String
  var value: Double
  /// `/s`, `MB/s`, `ms`, `MB`, `s`.
  var unit: String

  /// True if less is better.
  var isCost: Bool { !unit.hasSuffix("/s") }

  /// The number as a line of JSON, with the name of the limit that bounds it, if there is one.
  func json(limit: String? = nil) -> String {
    String(format: "{\"name\":\"%@\",\"value\":%.6g,\"unit\":\"%@\"", name, value, unit)
      + (limit.map { ",\"limit\":\"\($0)\"}" } ?? "}")
  }
}

/// The options of the command line.
struct Settings: Sendable {
  var isQuick = false
  var isSynced = false
  /// True to leave out Node's side.
  var isSwiftOnly = false
  /// The folder with the Node side, `Interop/bench`.
  var interop: String?
  /// The number of times that each row is measured.
  var runs = 3

  /// The amount of work: all of it, or a tenth.
  func scale(_ count: Int) -> Int { isQuick ? max(count / 10, 1) : count }
}

struct BenchFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// The seconds that a piece of work takes.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
  let isByProcessor = getenv(Memory.cpuSwitch) != nil
  let worked = Memory.processorSeconds
  let start = ContinuousClock.now
  try await body()
  return isByProcessor
    ? Memory.processorSeconds - worked : (ContinuousClock.now - start).seconds
}

extension Duration {
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}

extension [Double] {
  /// The smallest of the values that at least so many hundredths of them don't exceed.
  func percentile(_ hundredths: Int) -> Double {
    let sorted = sorted()
    let place: Int = (sorted.count * hundredths + 99) / 100
    return sorted.isEmpty ? .nan : sorted[Swift.max(place, 1) - 1]
  }

  var median: Double {
    let sorted = sorted()
    return isEmpty ? .nan : sorted[count / 2]
  }
}

/// Runs `body` several times and returns the median of its results.
func median(of runs: Int, _ body: () async throws -> Double) async throws -> Double {
  var values: [Double] = []
  for _ in 0..<runs { values.append(try await body()) }
  return values.median
}

/// Folders for files, removed at the end.
enum Scratch {
  static let root: String = {
    let base = ProcessInfo.processInfo.environment["DAT_BENCH_FOLDER"] ?? NSTemporaryDirectory()
    return (base as NSString).appendingPathComponent("dat-bench-\(getpid())")
  }()

  static func folder() -> String {
    (root as NSString).appendingPathComponent(UUID().uuidString)
  }

  static func remove(_ folder: String) { try? FileManager.default.removeItem(atPath: folder) }
  static func removeAll() { remove(root) }
}

/// Blocks that differ from each other.
func makeBlocks(_ count: Int, size: Int, from first: Int = 0) -> [[UInt8]] {
  (first..<first + count).map { number in
    var block = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
    var rest = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
    for place in 0..<min(8, size) {
      block[place] = UInt8(truncatingIfNeeded: rest)
      rest >>= 8
    }
    return block
  }
}

/// The resources that this process uses: resident memory now and at its peak, in bytes, and processor time.
enum Memory {
  /// The environment variable that makes processor time the measure, here and in children.
  static let cpuSwitch = "DAT_BENCH_CPU"

  private static var usage: rusage {
    var usage = rusage()
    #if canImport(Darwin)
      getrusage(RUSAGE_SELF, &usage)
    #else
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    #endif
    return usage
  }

  static var processorSeconds: Double {
    let usage = usage
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6
  }

  /// The peak of resident memory since this program was started. On Linux not the value of `getrusage`, which
  /// a process inherits from the one that starts it.
  static var peak: Int {
    if let kilobytes = status("VmHWM") { return kilobytes * 1024 }
    #if canImport(Darwin)
      return usage.ru_maxrss
    #else
      return usage.ru_maxrss * 1024
    #endif
  }

  /// The rows of a process that has recorded its memory after a tenth of its work and at the end.
  static func samples(_ name: String, _ told: [String: Any]) -> [Sample] {
    let peak = (told["peak"] as? Double ?? .nan) / 1e6
    let growth = (told["growth"] as? Double ?? .nan) / 1e6
    return [
      Sample(name: name + ".1m", value: peak, unit: "MB"),
      Sample(name: name + ".1m.growth", value: growth, unit: "MB"),
    ]
  }

  private static func status(_ field: String) -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix(field + ":") })
    else { return nil }
    return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
      .flatMap { Int($0) }
  }

  /// Only Linux reports it; elsewhere the peak stands for it.
  static var resident: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
      let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return peak }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
}

/// A repeatable order without a pattern.
struct Shuffler {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next(below bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(bound))
  }
}
