internal import ArgumentParser
internal import Foundation

/// The lines of standard input, as they are typed or piped.
enum StandardInput {
  /// Ends when standard input does. One thread waits for the system, nothing else does.
  static func lines() -> AsyncStream<String> {
    AsyncStream(bufferingPolicy: .unbounded) { continuation in
      let thread = Thread {
        while let line = readLine(strippingNewline: true) { continuation.yield(line) }
        continuation.finish()
      }
      thread.name = "standard input"
      thread.start()
    }
  }
}

extension StandardInput {
  /// Everything there is on standard input.
  static func bytes() throws -> [UInt8] {
    Array(try FileHandle.standardInput.readToEnd() ?? Data())
  }

  /// The lines of a file, or of standard input, read as they are asked for.
  static func lines(ofFile path: String?) throws -> InputLines {
    guard let path else { return InputLines(.standardInput) }
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw ValidationError("The file \(SafeText.line(path)) can't be read.")
    }
    return InputLines(handle)
  }
}

/// Lines of UTF-8 text, taken from a file in pieces.
struct InputLines: AsyncSequence, AsyncIteratorProtocol {
  typealias Element = String
  private let handle: FileHandle
  private var rest = Data()
  private var isAtEnd = false

  init(_ handle: FileHandle) { self.handle = handle }

  func makeAsyncIterator() -> InputLines { self }

  mutating func next() async throws -> String? {
    while true {
      if let end = rest.firstIndex(of: 10) {
        defer { rest = rest[(end + 1)...] }
        return String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
      }
      if isAtEnd {
        if rest.isEmpty { return nil }
        defer { rest = Data() }
        return String(decoding: rest, as: UTF8.self)
      }
      if let more = try handle.read(upToCount: 1 << 16), !more.isEmpty {
        rest = Data(rest) + more
      } else {
        isAtEnd = true
      }
    }
  }
}

/// The signals that ask a command to end.
enum Interruption {
  /// Yields once for each Ctrl-C or termination request, instead of dying of it.
  static func requests() -> AsyncStream<Void> {
    AsyncStream { continuation in
      let sources = [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { continuation.yield() }
        source.resume()
        return source
      }
      let holder = SignalSources(sources: sources)
      continuation.onTermination = { _ in holder.cancel() }
    }
  }

  /// A reader of our output that goes away must not end us.
  static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}

/// Keeps signal sources alive until their stream ends.
///
/// Unchecked with this proof: the array never changes, and cancelling a dispatch source is safe from
/// any thread.
private final class SignalSources: @unchecked Sendable {
  private let sources: [any DispatchSourceSignal]

  init(sources: [any DispatchSourceSignal]) { self.sources = sources }

  func cancel() { for source in sources { source.cancel() } }
}

extension StandardInput {
  /// The bytes of a file, pipe or terminal as they come.
  ///
  /// The next are read when those before were taken, so what isn't taken is not kept.
  static func pieces(of handle: FileHandle) -> AsyncStream<[UInt8]> {
    AsyncStream {
      await withCheckedContinuation { continuation in
        DispatchQueue.global().async {
          let data = handle.availableData
          continuation.resume(returning: data.isEmpty ? nil : Array(data))
        }
      }
    }
  }
}
