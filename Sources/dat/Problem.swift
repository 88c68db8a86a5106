internal import ArgumentParser
internal import Foundation
internal import Hypercore
internal import HypercoreProtocol

/// The command was called wrongly, which shows only while it runs: it ends with 64.
struct Misuse: Error, CustomStringConvertible {
  let description: String

  init(_ sentence: String) { description = sentence }
}

/// Failures in words.
enum Problem {
  /// One sentence for an error of any layer: what happened, where, and what to do next.
  static func sentence(for error: any Error) -> String {
    switch error {
    case let error as ValidationError: error.message
    case _ where isAnotherFeed(error):
      "The peer shares something else than the key that was asked for: compare the keys on both sides."
    case is CancellationError: "It was cancelled before it was done."
    case is CocoaError, is POSIXError: system(error as NSError)
    default: type(of: error) is NSError.Type ? system(error as NSError) : "\(error)"
    }
  }

  /// Whether a peer meant another feed than this side.
  static func isAnotherFeed(_ error: any Error) -> Bool {
    (error as? ProtocolError)?.code == .firstFeedMismatch
  }

  /// Errors of Foundation and of the system carry a number, and a long text that is for programs.
  private static func system(_ error: NSError) -> String {
    if error.domain == NSPOSIXErrorDomain { return Descriptor.message(Int32(clamping: error.code)) }
    if let inner = error.userInfo[NSUnderlyingErrorKey] as? NSError,
      inner.domain == NSPOSIXErrorDomain
    {
      let path = (error.userInfo[NSFilePathErrorKey] as? String).map { "\($0): " } ?? ""
      return path + Descriptor.message(Int32(clamping: inner.code))
    }
    return error.localizedDescription
  }
}

extension Output {
  /// Reports why a command can't go on, in a sentence, and gives what its `run()` has to throw.
  ///
  /// - Parameter error: what stopped it; an `ExitCode` was reported by whoever threw it.
  /// - Parameter isEvent: whether programs get it as an event on standard output.
  func ending(with error: any Error, isEvent: Bool = false) -> ExitCode {
    if let code = error as? ExitCode { return code }
    let sentence = Problem.sentence(for: error)
    if isEvent { problem(sentence) } else { failure(sentence) }
    return error is Misuse ? ExitCode(EX_USAGE) : ExitCode(1)
  }
}
