internal import HyperDB

/// Something that a chat in a terminal or a pipe has to react to, beside the events of the room.
enum ChatInput: Sendable {
  case line(String)
  /// A line, or everything after it, can't be read; the reason.
  case unreadable(String)
  /// There are no more lines.
  case end
  case interrupt
  case delivered
  case refused(HyperDBError)
}

/// One stream of everything that a chat has to react to: lines that are typed or piped, and what else may end it.
struct ChatInputs {
  let stream: AsyncStream<ChatInput>
  private let arrivals: AsyncStream<ChatInput>.Continuation
  private var tasks: [Task<Void, Never>] = []

  /// - Parameters:
  ///   - editor: the line at a terminal; nil for a pipe.
  ///   - lines: the piped lines; nil if none are expected.
  ///   - interruptions: requests to end, such as Ctrl-C.
  ///   - refusals: the errors that the key is not a room's.
  init(
    editor: LineEditor?, lines: InputLines?, interruptions: AsyncStream<Void>,
    refusals: AsyncStream<HyperDBError>
  ) {
    (stream, arrivals) = AsyncStream.makeStream()
    let arrivals = arrivals
    tasks = [
      Task {
        if let editor {
          for await line in editor.lines() { arrivals.yield(.line(line)) }
        } else if let lines {
          await Self.read(lines) { arrivals.yield($0) }
        }
        arrivals.yield(.end)
      },
      Task { for await _ in interruptions { arrivals.yield(.interrupt) } },
      Task { for await refusal in refusals { arrivals.yield(.refused(refusal)) } },
    ]
  }

  /// Adds that everything is delivered, once a function has returned.
  mutating func addDelivered(after wait: @escaping @Sendable () async -> Void) {
    tasks.append(
      Task { [arrivals] in
        await wait()
        arrivals.yield(.delivered)
      })
  }

  /// Stops reading.
  func cancel() { for task in tasks { task.cancel() } }

  /// Reads piped lines. One that is not text is left out, and the others are read.
  private static func read(_ lines: InputLines, _ yield: (ChatInput) -> Void) async {
    var lines = lines
    do {
      while let line = try await lines.next() {
        do { yield(.line(try line.text)) } catch {
          yield(.unreadable(Problem.sentence(for: error)))
        }
      }
    } catch {
      yield(.unreadable(Problem.sentence(for: error)))
    }
  }
}
