internal import Foundation

/// Whether the tests run under a sanitizer, which takes several times the memory and the time:
/// `Scripts/sanitize` says so.
public let isSanitized = ProcessInfo.processInfo.environment["DAT_SANITIZER"] != nil
