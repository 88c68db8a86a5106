#if WebRTC
  internal import CDataChannel

  /// One connection to a peer through WebRTC: sockets, checks, DTLS, SCTP and the channel, from its
  /// description to its end.
  ///
  /// ```
  ///   hub ── description, candidates ──► ICEAgent ── checks, path ──► CDataChannel ──► messages
  ///       ◄─────────────────────────────          ◄── requests ─────
  /// ```
  ///
  /// Everything runs on ``WebRTCActor``. The owner's `Events` are notified.
  @WebRTCActor
  final class DataChannel {
    /// The calls by which the owner is notified, on ``WebRTCActor``. None of these may block.
    struct Events {
      /// Called with this side's description, to be carried to the other side before any candidate.
      var described: @WebRTCActor (SessionDescription.Kind, String) -> Void
      /// Called with one more address of this side.
      var candidate: @WebRTCActor (String) -> Void
      /// A server that helps to be reached has said something.
      var server: @WebRTCActor (HelpingServer, HelpingServer.Outcome) -> Void
      /// Called when messages can be sent.
      var opened: @WebRTCActor () -> Void
      /// Called with bytes of the other side.
      var received: @WebRTCActor (UnsafeRawBufferPointer) -> Void
      /// Called when ``send(_:)`` can be tried again.
      var writable: @WebRTCActor () -> Void
      /// Called once, at the end.
      var ended: @WebRTCActor (WebRTCError) -> Void
    }

    private enum Role { case undecided, offerer(label: String), answerer }

    private let options: WebRTCOptions
    private let events: Events
    private var peer: OpaquePointer?
    private var retained: Unmanaged<DataChannel>?
    private var agent: ICEAgent
    private var role = Role.undecided
    private let own: ICECredentials
    private var other = OtherSide()
    private var random = SystemRandomNumberGenerator()
    /// The time for which the timer of ``peer`` is set; nil when it has fired.
    private var timerDue: ICEAgent.Instant?
    private(set) var isOpen = false

    /// The address of the other side, and whether a relay is between, once a path was found.
    private(set) var path: (address: TransportAddress, isRelayed: Bool)?

    /// The other side, as far as it has described itself.
    private struct OtherSide {
      /// Its credentials; nil until its description is here.
      private(set) var credentials: ICECredentials?
      /// The name that the offer gives the channel's part of the description.
      private(set) var mid = "0"
      /// The largest message that it accepts, in bytes.
      private(set) var maximumMessage = 16 << 10
      /// The addresses that it declares as its relays', up to the most that it may name.
      private(set) var relays: Set<TransportAddress> = []

      mutating func noteOffer(_ description: SessionDescription) { mid = description.mid }

      mutating func accept(_ description: SessionDescription) {
        credentials = description.credentials
        guard let maximum = description.maximumMessage else { return }
        // With less than a kilobyte a message each byte would be costly; no real peer asks for that.
        maximumMessage = min(maximumMessage, max(Int(maximum), 1024))
      }

      mutating func addRelay(_ address: TransportAddress) {
        if relays.count < ICEAgent.remoteLimit { relays.insert(address) }
      }
    }

    /// The largest message that the other side accepts, in bytes.
    var maximumMessage: Int { other.maximumMessage }

    /// - Throws: code `failed` if the libraries have no memory for another channel.
    init(_ options: WebRTCOptions, events: Events) throws(WebRTCError) {
      self.options = options
      self.events = events
      own = ICECredentials(random: &random)
      agent = ICEAgent(isControlling: false)
      let retained = Unmanaged.passRetained(self)
      var callbacks = Self.callbacks
      guard let peer = cdc_peer_new(&callbacks, retained.toOpaque()) else {
        retained.release()
        throw WebRTCError(.failed, "A WebRTC connection could not be prepared: no memory.")
      }
      self.peer = peer
      self.retained = retained
    }

    /// Frees what the libraries hold. A channel that neither ends nor is closed is never released.
    func close() {
      guard let peer else { return }
      self.peer = nil
      cdc_peer_free(peer)
      retained?.release()
      retained = nil
    }

    // MARK: Descriptions

    /// Offers a connection with a channel of this label.
    func offer(label: String) {
      guard case .undecided = role, peer != nil else { return }
      role = .offerer(label: label)
      agent = ICEAgent(isControlling: true)
      describe(.offer, .actpass)
      gather()
    }

    /// Applies the other side's description; an offer is answered.
    ///
    /// - Throws: code `description` if it can't be read or doesn't fit the state of the connection.
    func apply(_ description: SessionDescription) throws(WebRTCError) {
      guard let peer, other.credentials == nil else { return }
      let isClient: Bool
      switch (role, description.kind) {
      case (.undecided, .offer):
        role = .answerer
        isClient = description.setup != .active
        other.noteOffer(description)
        describe(.answer, isClient ? .active : .passive)
        gather()
      case (.offerer, .answer): isClient = description.setup == .passive
      case (.offerer, .offer), (.answerer, _), (.undecided, .answer):
        throw WebRTCError(.description, "The other side's \(description.kind) came out of turn.")
      }
      other.accept(description)
      let label: String? = if case .offerer(let label) = role { label } else { nil }
      description.fingerprint.withUnsafeBufferPointer { bytes in
        cdc_peer_start(peer, bytes.baseAddress, isClient, description.sctpPort, label)
      }
      for candidate in description.candidates { add(candidate) }
      agent.start(now: cdc_now())
      advance()
    }

    /// Adds an address of the other side.
    func add(_ candidate: ICECandidate) {
      guard candidate.address.isUsable, options.dialsLoopback || !candidate.address.isLoopback
      else { return }
      if candidate.kind == .relay { other.addRelay(candidate.address) }
      agent.addRemote(candidate.address, priority: candidate.priority, now: cdc_now())
      advance()
    }

    private func describe(_ kind: SessionDescription.Kind, _ setup: SessionDescription.Setup) {
      guard let peer else { return }
      let fingerprint = Array(
        UnsafeBufferPointer(start: cdc_peer_fingerprint(peer), count: Int(CDC_FINGERPRINT)))
      var description = SessionDescription(
        kind: kind, credentials: own, fingerprint: fingerprint, setup: setup)
      description.mid = other.mid
      description.maximumMessage = UInt32(CDC_MAX_MESSAGE)
      events.described(kind, description.text(session: random.next()))
    }

    private func gather() {
      guard let peer else { return }
      options.withC { options in
        var options = options
        cdc_peer_gather(peer, &options, own.name, own.password)
      }
    }

    // MARK: The path

    /// Carries out the agent's actions, and sets its timer.
    private func advance() {
      guard let peer else { return }
      while let action = agent.nextAction() {
        switch action {
        case .check(let number, let path, let isControlling, let nominates):
          send(number, path, isControlling, nominates, peer)
        case .select(let path):
          self.path = (path.remote, agent.isRelayed || other.relays.contains(path.remote))
          var c = path.c
          cdc_peer_select(peer, &c)
        case .fail(let why):
          let reason =
            switch why {
            case .noPath:
              "No way to the peer was found; behind some routers only a TURN server helps."
            case .noConsent: "The peer has not answered for 30 seconds."
            }
          end(WebRTCError(.unreachable, reason))
          return
        }
      }
      setTimer(peer)
    }

    /// Sets the timer of the peer if it isn't set for the agent's deadline: each check would set it otherwise, and the
    /// library searches all its timers for the place.
    private func setTimer(_ peer: OpaquePointer) {
      guard let deadline = agent.deadline, deadline != timerDue else { return }
      timerDue = deadline
      let now = cdc_now()
      cdc_peer_set_timer(peer, deadline > now ? deadline - now : 0)
    }

    private func send(
      _ number: UInt32, _ path: ICEAgent.Path, _ isControlling: Bool, _ nominates: Bool,
      _ peer: OpaquePointer
    ) {
      guard let remote = other.credentials else { return }
      var c = path.c
      let failure = cdc_peer_check(
        peer, number, &c, "\(remote.name):\(own.name)", remote.password,
        ICECandidate.priority(.prflx),
        isControlling, agent.claim, nominates)
      if failure != 0 { agent.answered(number, .timedOut, now: cdc_now()) }
    }

    // MARK: Messages

    /// Sends bytes as one message.
    ///
    /// - Returns: false if there is no room now; ``Events/writable`` follows.
    /// - Throws: code `closed` if the connection is over.
    func send(_ bytes: ArraySlice<UInt8>) throws(WebRTCError) -> Bool {
      guard let peer else { throw WebRTCError(.closed, "The connection is closed.") }
      let count = bytes.withUnsafeBufferPointer { cdc_peer_send(peer, $0.baseAddress, $0.count) }
      if count < 0 { throw WebRTCError(.closed, "The connection is closed.") }
      return count > 0
    }

    /// Ends the channel in order: what was sent arrives before the other side sees the end.
    func finish() { if let peer { cdc_peer_finish(peer) } }

    /// Starts or stops the delivery of bytes. While it is stopped, the other side soon can't send more.
    func setReading(_ isReading: Bool) { if let peer { cdc_peer_set_reading(peer, isReading) } }

    private func end(_ error: WebRTCError) {
      guard peer != nil else { return }
      isOpen = false
      events.ended(error)
    }

    // MARK: Callbacks

    private static func from(_ context: UnsafeMutableRawPointer?) -> DataChannel? {
      context.map { Unmanaged<DataChannel>.fromOpaque($0).takeUnretainedValue() }
    }

    private static var callbacks: cdc_callbacks {
      var callbacks = cdc_callbacks()
      callbacks.local_candidate = { context, kind, leg, preference, address, related in
        guard let address else { return }
        let found = (
          TransportAddress(address.pointee), related.map { TransportAddress($0.pointee) }
        )
        DataChannel.entered(context) { $0.found(kind, leg, preference, found.0, found.1) }
      }
      callbacks.server_answered = { context, kind, address, outcome in
        guard let address else { return }
        let server = HelpingServer(
          relays: kind == CDC_RELAYED, address: TransportAddress(address.pointee))
        DataChannel.entered(context) { $0.events.server(server, .init(outcome)) }
      }
      callbacks.check_received = { context, request in
        guard let request = request?.pointee else { return CDC_IGNORE }
        return DataChannel.entered(context) { $0.checked(request) } ?? CDC_IGNORE
      }
      callbacks.check_answered = { context, number, outcome in
        DataChannel.entered(context) { channel in
          channel.agent.answered(number, ICEAgent.Outcome(outcome), now: cdc_now())
          channel.advance()
        }
      }
      callbacks.timer = { context in
        DataChannel.entered(context) { channel in
          channel.timerDue = nil
          channel.agent.fire(now: cdc_now())
          channel.advance()
        }
      }
      callbacks.opened = { context in
        DataChannel.entered(context) { channel in
          channel.isOpen = true
          channel.events.opened()
        }
      }
      callbacks.received = { context, bytes, length in
        let address = UInt(bitPattern: bytes)
        DataChannel.entered(context) { channel in
          channel.events.received(
            UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: length))
        }
      }
      callbacks.writable = { context in DataChannel.entered(context) { $0.events.writable() } }
      callbacks.ended = { context, why in
        DataChannel.entered(context) { $0.end(WebRTCError(why)) }
      }
      return callbacks
    }

    /// Runs a callback of the C libraries for its channel.
    private nonisolated static func entered<Value: Sendable>(
      _ context: UnsafeMutableRawPointer?, _ work: @WebRTCActor (DataChannel) -> Value
    ) -> Value? {
      let address = UInt(bitPattern: context)
      return WebRTCActor.assume {
        DataChannel.from(UnsafeMutableRawPointer(bitPattern: address)).map(work)
      }
    }

    private func found(
      _ kind: cdc_kind, _ leg: UInt8, _ preference: UInt16, _ address: TransportAddress,
      _ related: TransportAddress?
    ) {
      let name: ICECandidate.Kind =
        switch kind {
        case CDC_HOST: .host
        case CDC_REFLEXIVE: .srflx
        default: .relay
        }
      var candidate = ICECandidate(
        address: address, kind: name, priority: ICECandidate.priority(name, preference: preference),
        related: related)
      candidate.foundation = "\(Int(leg) * 4 + Int(kind.rawValue) + 1)"
      events.candidate(candidate.description)
      agent.addLeg(leg, isIPv6: address.isIPv6, isRelay: kind == CDC_RELAYED, now: cdc_now())
      advance()
    }

    private func checked(_ c: cdc_request) -> cdc_verdict {
      let path = ICEAgent.Path(leg: c.path.leg, remote: TransportAddress(c.path.remote))
      var request = ICEAgent.Request(path: path, priority: c.priority, nominates: c.nominates)
      if c.has_role { request.claim = (c.is_controlling, c.tie_breaker) }
      let verdict = agent.received(request, now: cdc_now())
      advance()
      switch verdict {
      case .accept: return CDC_ACCEPT
      case .roleConflict: return CDC_ROLE_CONFLICT
      case .ignore: return CDC_IGNORE
      }
    }
  }

  extension ICEAgent.Path {
    fileprivate var c: cdc_path { cdc_path(leg: leg, remote: remote.c) }
  }

  extension ICEAgent.Outcome {
    fileprivate init(_ outcome: CInt) {
      switch outcome {
      case 0: self = .answered
      case -1: self = .timedOut
      case -2: self = .asymmetric
      default: self = .refused(Int(outcome))
      }
    }
  }

  extension WebRTCError {
    fileprivate init(_ why: cdc_end) {
      switch why {
      case CDC_CLOSED_BY_PEER: self.init(.closed, "The peer closed the connection.")
      case CDC_HANDSHAKE_FAILED: self.init(.failed, "The DTLS handshake with the peer failed.")
      case CDC_WRONG_CERTIFICATE:
        self.init(
          .certificate,
          "The peer's certificate is not the one in its description: somebody is in between.")
      case CDC_ASSOCIATION_LOST: self.init(.unreachable, "The connection with the peer was lost.")
      case CDC_MESSAGE_TOO_LARGE:
        self.init(.offence, "The peer sent a message of more than 262,144 bytes.")
      default: self.init(.failed, "The connection with the peer failed.")
      }
    }
  }
#endif
