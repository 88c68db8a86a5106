internal import ArgumentParser
internal import Foundation
internal import Hypercore
internal import HypercoreProtocol

/// The error of a wrong call of the command that only shows while it runs: it ends with 64.
struct Misuse: Error, CustomStringConvertible {
  let description: String

  init(_ sentence: String) { description = sentence }
}

/// Failures in words.
enum Problem {
  /// Returns one sentence for an error of any layer: what happened, where, and the next step.
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

  /// Returns whether a peer meant another feed than this side.
  static func isAnotherFeed(_ error: any Error) -> Bool {
    (error as? ProtocolError)?.code == .firstFeedMismatch
  }

  /// Returns the sentence for an error of Foundation or the system, whose long text is for programs.
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
  /// Reports in a sentence why a command can't go on, and returns the error that its `run()` has to throw.
  ///
  /// - Parameter error: the reason; an `ExitCode` was reported by the code that threw it.
  /// - Parameter isEvent: true if programs get it as an event on standard output.
  func ending(with error: any Error, isEvent: Bool = false) -> ExitCode {
    if let code = error as? ExitCode { return code }
    let sentence = Problem.sentence(for: error)
    if isEvent { problem(sentence) } else { failure(sentence) }
    return error is Misuse ? ExitCode(EX_USAGE) : ExitCode(1)
  }
}
