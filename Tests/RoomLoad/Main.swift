internal import Foundation
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage
internal import Saga

// How a large room opens, what it takes, and how long a search is: `make bench-room`.
//
//     dat-room-load write FOLDER MESSAGES WRITERS
//     dat-room-load open FOLDER [--without-index]

@main
struct Main {
  static func main() async throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.count >= 2, let verb = arguments.first else { return usage() }
    let rest = Array(arguments.dropFirst())
    switch (verb, rest.count) {
    case ("write", 3):
      guard let messages = Int(rest[1]), let writers = Int(rest[2]), writers > 0 else {
        return usage()
      }
      try await write(rest[0], messages, writers)
    case ("open", 1...2): try await open(rest[0], withoutIndex: rest.contains("--without-index"))
    default: usage()
    }
  }

  private static func usage() {
    print("usage: dat-room-load write FOLDER MESSAGES WRITERS | open FOLDER [--without-index]")
  }

  // MARK: Writing

  /// A room whose writers wrote side by side, each of them after the room's owner let it in.
  private static func write(_ folder: String, _ messages: Int, _ writers: Int) async throws {
    let owner = try await HyperDB.open(folder: folder)
    for writer in 0..<writers {
      let db = writer == 0 ? owner : try await HyperDB.inMemory(key: owner.key)
      if writer > 0 {
        try await owner.authorize(db.localKey)
        try await exchange(owner, db)
      }
      let own = messages / writers
      for start in stride(from: 0, to: own, by: 500) {
        try await db.batch(
          (start..<min(start + 500, own)).map { number in
            let key = "messages/writer\(writer)-process-id/\(number)"
            let text = "This is message number \(number) of writer \(writer), in a room with many."
            let value =
              #"{"key":"\#(key)","message":"\#(text)","username":"user \#(writer)","timestamp":"#
              + "\(1_700_000_000_000 + number * 60_000 + writer * 1_000)}"
            return .put(key, Array(value.utf8))
          })
      }
      if writer > 0 {
        try await exchange(owner, db)
        await db.close()
      }
      print("\(own * (writer + 1)) messages")
    }
    await owner.close()
  }

  private static func exchange(_ one: HyperDB, _ other: HyperDB) async throws {
    let (left, right) = (try await one.replicate(), try await other.replicate())
    async let there: Void = pump(left, right)
    async let back: Void = pump(right, left)
    _ = await (there, back)
  }

  private static func pump(_ from: ReplicationStream, _ to: ReplicationStream) async {
    while let bytes = await from.nextOutput() { await to.receive(bytes) }
    await to.finishInput()
  }

  // MARK: Opening

  private static func open(_ folder: String, withoutIndex: Bool) async throws {
    if withoutIndex { try? FileManager.default.removeItem(atPath: folder + "/room-index") }
    print("before: \(memory())")
    var opened: Saga?
    let opening = try await timed {
      let room = try await Saga.open(folder: folder, username: "reader")
      opened = room
      let page = await room.messages(limit: 100)
      if page.count != 100 { print("the newest page has \(page.count) messages") }
    }
    guard let room = opened else { return }
    print("newest page: \(opening); \(memory())")
    print("messages: \(await room.messageCount), writers: \(await room.authors.count)")
    let first = await timed {
      for await message in room.search("number 17 of writer 1").prefix(1) { print(message.text) }
    }
    print("search for one of the oldest: \(first)")
    var found = 0
    let all = await timed { for await _ in room.search("nowhere") { found += 1 } }
    print("search through all, \(found) found: \(all); \(memory())")
    await room.close()
    print("closed: \(memory())")
  }

  /// The processor time of this process so far, in seconds.
  private static func processor() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Runs something and gives how long it took and how much it computed.
  private static func timed(_ body: () async throws -> Void) async rethrows -> String {
    let (begin, worked) = (ContinuousClock.now, processor())
    try await body()
    let (seconds, attoseconds) = (ContinuousClock.now - begin).components
    let time = Double(seconds) + Double(attoseconds) / 1e18
    return String(format: "%.2f s, of the processor's %.2f s", time, processor() - worked)
  }

  private static func memory() -> String {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let lines = status.split(separator: "\n").filter {
      $0.hasPrefix("VmRSS") || $0.hasPrefix("VmHWM")
    }
    return lines.map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
      .joined(separator: ", ")
  }
}
