internal import Foundation

/// True if the tests run under a sanitizer, which takes several times the memory and the time.
/// `Scripts/sanitize` sets the variable.
public let isSanitized = ProcessInfo.processInfo.environment["DAT_SANITIZER"] != nil
