internal import Hypercore
internal import HypercoreCrypto
internal import Saga

/// The state that all pages of a room share, beside its messages, with the numbers of its changes.
struct SharedState {
  /// The identity of the room; nil before it is open.
  private(set) var identity: RoomIdentity?
  private(set) var people = RoomPeople()
  private(set) var isAuthorized = false
  private(set) var problem: String?
  /// The reason why nothing more is written here, if the user's own feed has two histories.
  private(set) var fork: String?
  /// The part of the stored messages that was read, in percent, while a room opens; nil once all were.
  private(set) var loaded: Int?
  /// The user's own messages of this run.
  private var own = OwnDeliveries()
  private(set) var revisions = Revisions()

  /// Begins with the state of a room that is open now.
  mutating func start(
    _ identity: RoomIdentity, _ state: RoomState, patience: Duration, now: Int64
  ) {
    self.identity = identity
    people = RoomPeople(state, own: identity.own, patience: patience, now: now)
    isAuthorized = state.isAuthorized
    loaded = state.isLoading ? 0 : nil
    own = OwnDeliveries(after: state.ownSeq)
  }

  /// Returns the delivery of a message of the user; nil for any other, and for one from an earlier run.
  func delivery(of message: Message) -> Delivery? {
    message.feed == identity?.own ? own.delivery(of: message) : nil
  }

  // MARK: Events of the room

  /// Handles one event.
  ///
  /// - Parameters:
  ///   - others: for a message the messages of other feeds that share its key now, or no longer do.
  ///   - name: for something unreadable the name of the feed's writer.
  mutating func handle(_ event: SagaEvent, others: [Message.ID], name: String?, now: Int64) {
    for id in others { revisions.note(id) }
    switch event {
    case .message(let message), .edit(let message): note(message)
    case .removal(let message):
      revisions.note(message.id)
      revisions.note(.people)
    case .unreadable(let id): note(people.noteUnreadable(id.feed, name: name, now: now))
    case .waiting, .join, .change, .leave, .request, .requestGone, .muted:
      note(people.handle(event, now: now))
    case .authorized:
      isAuthorized = true
      revisions.note(.me)
    case .sent(let seq): for id in own.noteSent(seq) { revisions.note(id) }
    case .forked(let evidence): note(evidence)
    case .error(let error): note(problem: error.reason)
    case .loading(let done, let all):
      if loaded != nil { note(loaded: all > 0 ? Int(min(done, all) * 100 / all) : 0) }
    case .ready:
      guard loaded != nil else { break }
      note(loaded: nil)
      // The pages have seen none of the messages that were read.
      revisions.noteAllMessages()
    case .feedGone:
      revisions.noteAllMessages()
      revisions.note(.people)
    case .operation, .restored: break
    @unknown default: break
    }
  }

  private mutating func note(_ parts: Set<Revisions.Part>) {
    for part in parts { revisions.note(part) }
  }

  private mutating func note(_ message: Message) {
    revisions.note(message.id)
    revisions.note(.people)
    if message.feed == identity?.own { own.add(message) }
    // The author of a message that is read has been let in, by whichever writer.
    note(people.removeRequest(of: message.feed))
  }

  private mutating func note(_ evidence: ForkEvidence) {
    let own = identity?.own ?? PublicKey()
    let sentence = Saga.sentence(for: evidence, own: own)
    guard Saga.isFork(evidence, of: own) else { return note(problem: sentence) }
    fork = sentence
    revisions.note(.fork)
  }

  private mutating func note(problem sentence: String) {
    problem = sentence
    revisions.note(.problem)
  }

  private mutating func note(loaded percent: Int?) {
    loaded = percent
    revisions.note(.loaded)
  }

  // MARK: Actions of the user, and time

  /// Notes that a request was answered. A person who was let in is shown from then on.
  mutating func noteAnswer(to key: PublicKey, isAccepted: Bool) {
    if isAccepted { note(people.setMuted(false, key)) }
    note(people.removeRequest(of: key))
  }

  /// Notes that a feed's messages are hidden here, or shown again.
  mutating func noteMuted(_ isMuted: Bool, _ key: PublicKey) {
    note(people.setMuted(isMuted, key))
  }

  /// Notes a change of something that no page is sent with the room, such as the read mark.
  mutating func noteOther() { revisions.advance() }

  /// Shows the leaves that are due.
  mutating func showLeaves(now: Int64) { note(people.showLeaves(now: now)) }

  /// Gives the changes since the last call their number.
  ///
  /// - Returns: true if there are any, of which the pages are to be notified.
  mutating func commit() -> Bool { revisions.commit() }
}
