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

/// Where the handler of signals tells of them; none before anybody listens.
///
/// Unsafe with this proof: it is set before the handler is, and a handler can only read it.
nonisolated(unsafe) private var interruptionPipe: Int32 = -1

/// The signals that ask a command to end.
enum Interruption {
  /// Yields once for each Ctrl-C or termination request, instead of dying of it. To be called once, before
  /// there is anything to end in order: from its return on no signal is lost.
  static func requests() -> AsyncStream<Void> {
    AsyncStream { continuation in
      var ends: [Int32] = [0, 0]
      // Without a pipe the signals end the command as they do by themselves.
      guard pipe(&ends) == 0 else { return }
      for end in ends {
        _ = fcntl(end, F_SETFL, O_NONBLOCK)
        _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      }
      let reading = ends[0]
      let source = DispatchSource.makeReadSource(fileDescriptor: reading, queue: .global())
      source.setEventHandler {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(reading, &bytes, bytes.count) > 0 {}
        continuation.yield()
      }
      source.resume()
      interruptionPipe = ends[1]
      for number in [SIGINT, SIGTERM] {
        signal(number) { _ in
          let problem = errno
          var byte: UInt8 = 0
          _ = write(interruptionPipe, &byte, 1)
          errno = problem
        }
      }
      let holder = SignalSource(source: source)
      continuation.onTermination = { _ in holder.cancel() }
    }
  }

  /// A reader of our output that goes away must not end us.
  static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}

/// Keeps the source alive until its stream ends.
///
/// Unchecked with this proof: the source never changes, and cancelling one is safe from any thread.
private final class SignalSource: @unchecked Sendable {
  private let source: any DispatchSourceRead

  init(source: any DispatchSourceRead) { self.source = source }

  func cancel() { source.cancel() }
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
