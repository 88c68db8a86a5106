internal import HypercoreProtocol

/// The requests of one peer that wait to be answered, in the order in which it sent them.
///
/// A Cancel costs the same however many requests wait: the requests that it cancels are counted, skipped when
/// their turn comes, and removed once there are many.
struct RequestQueue {
  /// The content of a request, as a Cancel names it.
  struct Question: Hashable {
    var index: UInt64
    var bytes: UInt64
    var hash: Bool
  }

  /// The requests; those before `next` are answered.
  private var requests: [Request] = []
  private var next = 0
  /// The number of waiting requests with each content; nil until the peer cancels any, which few peers do.
  private var waiting: [Question: Int]?
  /// The number of requests with each content that are cancelled and still in `requests`. They come before
  /// those that wait, since a Cancel cancels all there are.
  private var cancelled: [Question: Int] = [:]
  private var cancelledCount = 0

  /// The number of requests that wait.
  var count: Int { requests.count - next - cancelledCount }

  var isEmpty: Bool { count == 0 }

  /// The requests that wait, and some that are cancelled.
  var upcoming: ArraySlice<Request> { requests[next...] }

  /// The number of requests at the front that ask for the blocks after `index`, one after another: those to read
  /// ahead for.
  func countFollowing(_ index: UInt64, limit: Int) -> Int {
    var count = 0
    for request in upcoming.prefix(limit) {
      guard request.index == index + UInt64(count) + 1, request.bytes == 0, !request.hash else {
        break
      }
      count += 1
    }
    return count
  }

  mutating func append(_ request: Request) {
    requests.append(request)
    waiting?[Self.question(of: request), default: 0] += 1
  }

  mutating func popFirst() -> Request? {
    while next < requests.count {
      let request = requests[next]
      next += 1
      let isCancelled = waiting != nil && countOut(Self.question(of: request))
      if isEmpty {
        removeAll()
      } else if next >= 1024 {
        requests.removeSubrange(0..<next)
        next = 0
      }
      if !isCancelled { return request }
    }
    return nil
  }

  /// Cancels every waiting request with this content.
  mutating func cancel(_ question: Question) {
    guard !isEmpty else { return }
    if waiting == nil {
      var counts: [Question: Int] = [:]
      counts.reserveCapacity(count)
      for request in upcoming { counts[Self.question(of: request), default: 0] += 1 }
      waiting = counts
    }
    guard let number = waiting?.removeValue(forKey: question) else { return }
    cancelled[question, default: 0] += number
    cancelledCount += number
    if isEmpty {
      removeAll()
    } else if cancelledCount > 256 + count / 4 {
      clearCancelled()
    }
  }

  // MARK: Parts

  private static func question(of request: Request) -> Question {
    Question(index: request.index, bytes: request.bytes, hash: request.hash)
  }

  private mutating func removeAll() {
    requests.removeAll(keepingCapacity: true)
    next = 0
    waiting = nil
    cancelled = [:]
    cancelledCount = 0
  }

  /// - Returns: true if the request that is passed was cancelled.
  private mutating func countOut(_ question: Question) -> Bool {
    if passOver(question) { return true }
    if let number = waiting?[question] { waiting?[question] = number > 1 ? number - 1 : nil }
    return false
  }

  /// Skips a request that was cancelled.
  ///
  /// - Returns: true if there is one with this content.
  private mutating func passOver(_ question: Question) -> Bool {
    guard let number = cancelled[question] else { return false }
    cancelled[question] = number > 1 ? number - 1 : nil
    cancelledCount -= 1
    return true
  }

  private mutating func clearCancelled() {
    var kept: [Request] = []
    kept.reserveCapacity(count)
    for request in upcoming where !passOver(Self.question(of: request)) { kept.append(request) }
    requests = kept
    next = 0
  }
}
