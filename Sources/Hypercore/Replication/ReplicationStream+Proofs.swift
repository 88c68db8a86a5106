public import HypercoreCrypto
internal import HypercoreProtocol

/// What a peer has shown about itself on a connection.
struct ProofState {
  var received = 0
  var provenKey: PublicKey?
  var marks: [Digest] = []
  var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
  var lastWaiter: UInt64 = 0
  /// Called when a mark has come.
  var onMark: (@Sendable () -> Void)?
}

extension ReplicationStream {
  /// Whether the peer can show which key it holds and which connections are its own; false before its
  /// handshake, and for peers of the reference.
  public var canProve: Bool { peerSupports(extension: PeerProof.extensionName) }

  /// The key that the peer has shown to hold, by a signature over this connection's nonces and its own user
  /// data; nil where it has shown none yet.
  public var provenKey: PublicKey? { proofs.provenKey }

  /// Waits until the peer has shown which key it holds. Returns at once where it can't.
  ///
  /// - Parameter patience: how long to wait at most.
  /// - Returns: nil when the time is over, the connection ended or the task was cancelled before.
  public func provenKey(within patience: Duration) async -> PublicKey? {
    if proofs.provenKey != nil || !canProve || isOver { return proofs.provenKey }
    proofs.lastWaiter += 1
    let number = proofs.lastWaiter
    let timer = Task { [weak self] in
      try? await Task.sleep(for: patience)
      await self?.stopWaiting(number)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if Task.isCancelled {
          continuation.resume()
        } else {
          proofs.waiters[number] = continuation
        }
      }
    } onCancel: {
      Task { await self.stopWaiting(number) }
    }
    timer.cancel()
    return proofs.provenKey
  }

  private func stopWaiting(_ number: UInt64) {
    proofs.waiters.removeValue(forKey: number)?.resume()
  }

  func endProofs() {
    for waiter in proofs.waiters.values { waiter.resume() }
    proofs.waiters = [:]
    proofs.onMark = nil
  }

  // MARK: Messages

  /// Shows which key is held here, if that was asked for and the peer can read it.
  func sendKeyProof() {
    guard canProve, let pair = session.identity, let nonces, let feed = firstFeed else { return }
    let proof = PeerProof.key(
      pair, feed, nonces, userData: session.connection.options.userData)
    send(proof)
  }

  private func send(_ proof: PeerProof) {
    // The connection may have ended, or its first feed have been closed on it.
    try? send(extension: PeerProof.extensionName, payload: proof.payload)
  }

  /// Takes a message of the extension. What proves nothing is skipped, as by peers that don't know it.
  func proofArrived(_ payload: [UInt8]) {
    guard proofs.received < PeerProof.limit, let nonces, let feed = firstFeed else { return }
    proofs.received += 1
    switch PeerProof(payload) {
    case .mark(let mark):
      proofs.marks.append(mark)
      proofs.onMark?()
    case .key(let key, let signature):
      guard proofs.provenKey == nil,
        PeerProof.verifies(key, signature, feed, nonces, userData: remote?.userData)
      else { return }
      proofs.provenKey = key
      let waiters = proofs.waiters.values
      proofs.waiters = [:]
      for waiter in waiters { waiter.resume() }
    case nil: break
    }
  }

  private var firstFeed: DiscoveryKey? {
    session.firstChannel.flatMap { session.discoveryKey(of: $0) }
  }

  // MARK: Connections of one peer

  /// What this connection's ciphers start from; nil before the remote has said its half.
  package var nonces: ConnectionNonces? {
    session.connection.remoteNonce.map {
      ConnectionNonces(own: session.connection.options.nonce, remote: $0)
    }
  }

  /// Shows the peer that another connection is with this side too.
  package func mark(_ other: ConnectionNonces) {
    guard canProve, let nonces else { return }
    send(.mark(PeerProof.sentMark(of: other, on: nonces)))
  }

  /// Whether the peer has shown that another connection is with it too.
  package func isMarked(_ other: ConnectionNonces) -> Bool {
    guard let nonces else { return false }
    return proofs.marks.contains(PeerProof.expectedMark(of: other, on: nonces))
  }

  /// Has this called for each mark that comes.
  package func onMark(_ body: @escaping @Sendable () -> Void) { proofs.onMark = body }
}
