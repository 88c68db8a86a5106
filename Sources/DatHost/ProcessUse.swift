internal import Foundation

/// The memory and the file descriptors that this process uses, as far as the system says. The module's one
/// file with calls of one platform.
struct ProcessUse {
  /// The bytes that are resident.
  var memory: UInt64?
  /// The part of them that is not mapped from files.
  var ownMemory: UInt64?
  /// The number of open descriptors.
  var descriptors: Int?
  /// The most that may be open.
  var descriptorLimit: Int?

  static func now() -> ProcessUse {
    var use = ProcessUse()
    #if os(Linux) || os(Android)
      if let table = FileManager.default.contents(atPath: "/proc/self/status") {
        use.memory = bytes(of: "VmRSS", in: [UInt8](table))
        use.ownMemory = bytes(of: "RssAnon", in: [UInt8](table))
      }
    #endif
    // One of them is the folder that is being read.
    use.descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/dev/fd")).map {
      max($0.count - 1, 0)
    }
    #if canImport(Glibc)
      let which = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
      let which = RLIMIT_NOFILE
    #endif
    var limit = rlimit()
    if getrlimit(which, &limit) == 0 { use.descriptorLimit = Int(clamping: limit.rlim_cur) }
    return use
  }

  /// Returns the size in a line such as `VmRSS:     39000 kB`; nil if there is none.
  static func bytes(of name: String, in table: [UInt8]) -> UInt64? {
    for line in table.split(separator: 10) where line.starts(with: Array((name + ":").utf8)) {
      let digits = line.filter { (48...57).contains($0) }
      guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else { return nil }
      let (bytes, overflow) = number.multipliedReportingOverflow(by: 1024)
      return overflow ? nil : bytes
    }
    return nil
  }
}
