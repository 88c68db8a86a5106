public import HypercoreCrypto
internal import HypercoreProtocol

/// The facts that a peer has proven about itself on a connection.
struct ProofState {
  var received = 0
  var provenKey: PublicKey?
  var marks: [Digest] = []
  var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
  var lastWaiter: UInt64 = 0
  /// Called when a mark arrives.
  var onMark: (@Sendable () -> Void)?
}

extension ReplicationStream {
  /// True if the peer can prove which key it holds and which connections are its own; false before its
  /// handshake, and for peers of the reference.
  public var canProve: Bool { peerSupports(extension: PeerProof.extensionName) }

  /// The key that the peer has proven to hold, by a signature over this connection's nonces and its own user
  /// data; nil if it has proven none yet.
  public var provenKey: PublicKey? { proofs.provenKey }

  /// Waits until the peer has proven which key it holds. Returns at once if it can't.
  ///
  /// - Parameter patience: the longest time to wait.
  /// - Returns: nil if the time ran out, the connection ended or the task was cancelled before.
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

  /// Proves which key is held here, if that was asked for and the peer understands it.
  func sendKeyProof() {
    guard canProve, let pair = session.identity, let nonces, let feed = firstFeed else { return }
    let proof = PeerProof.key(
      pair, feed, nonces, userData: session.connection.options.userData)
    send(proof)
  }

  private func send(_ proof: PeerProof) {
    // The connection may have ended, or its first feed may have been closed on it.
    try? send(extension: PeerProof.extensionName, payload: proof.payload)
  }

  /// Handles a message of the extension. Messages that prove nothing are ignored, as by peers that don't know
  /// it.
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

  /// The nonces from which this connection's ciphers start; nil before the remote has sent its own.
  package var nonces: ConnectionNonces? {
    session.connection.remoteNonce.map {
      ConnectionNonces(own: session.connection.options.nonce, remote: $0)
    }
  }

  /// Proves to the peer that another connection is with this side too.
  package func mark(_ other: ConnectionNonces) {
    guard canProve, let nonces else { return }
    send(.mark(PeerProof.sentMark(of: other, on: nonces)))
  }

  /// Returns whether the peer has proven that another connection is with it too.
  package func isMarked(_ other: ConnectionNonces) -> Bool {
    guard let nonces else { return false }
    return proofs.marks.contains(PeerProof.expectedMark(of: other, on: nonces))
  }

  /// Sets a function that is called for each mark that arrives.
  package func onMark(_ body: @escaping @Sendable () -> Void) { proofs.onMark = body }
}
