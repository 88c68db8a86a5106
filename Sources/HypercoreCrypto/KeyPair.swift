internal import CSodium

/// The two keys of a writable feed.
public struct KeyPair: Hashable, Sendable {
  /// The key that names a feed and verifies its signatures.
  public let publicKey: PublicKey
  /// The key that signs; anybody who has it can write.
  public let secretKey: SecretKey

  /// Creates a pair from both halves as stored; ``isValid`` checks that they belong together.
  public init(publicKey: PublicKey, secretKey: SecretKey) {
    self.publicKey = publicKey
    self.secretKey = secretKey
  }

  /// Generates a new pair from the system's randomness.
  ///
  /// Calls `crypto_sign_keypair`; hypercore-crypto `keyPair()`.
  public static func generate() -> KeyPair {
    _ = Sodium.ready
    var publicKey = PublicKey()
    var secretKey = SecretKey()
    publicKey.withUnsafeMutableBytes { publicBytes in
      secretKey.withUnsafeMutableBytes { secretBytes in
        _ = crypto_sign_keypair(publicBytes.octets, secretBytes.octets)
      }
    }
    return KeyPair(publicKey: publicKey, secretKey: secretKey)
  }

  /// Derives the pair of a seed of 32 bytes; nil for any other number of bytes.
  ///
  /// Calls `crypto_sign_seed_keypair`; hypercore-crypto `keyPair(seed)`.
  public init?(seed: some Collection<UInt8>) {
    let seed = Array(seed)
    guard seed.count == Int(crypto_sign_SEEDBYTES) else { return nil }
    _ = Sodium.ready
    var publicKey = PublicKey()
    var secretKey = SecretKey()
    publicKey.withUnsafeMutableBytes { publicBytes in
      secretKey.withUnsafeMutableBytes { secretBytes in
        _ = crypto_sign_seed_keypair(publicBytes.octets, secretBytes.octets, seed)
      }
    }
    self.init(publicKey: publicKey, secretKey: secretKey)
  }

  /// True if the public key verifies signatures of the secret key.
  ///
  /// Source: hypercore `index.js`, the check behind `Key and secret do not match`.
  public var isValid: Bool {
    publicKey.verifies(secretKey.sign([]), of: [])
  }

  /// Derives the key pair of a writer's content feed from the secret key of its first feed.
  ///
  /// - Parameters:
  ///   - secretKey: the secret key of the feed of entries, or of metadata.
  ///   - context: the purpose of the derived keys.
  ///
  /// Source: hyperdb and hyperdrive `index.js`, `crypto_kdf_derive_from_key` with subkey 1 and the context.
  public static func contentFeed(
    of secretKey: SecretKey, context: DerivationContext = .hyperdb
  ) -> KeyPair {
    _ = Sodium.ready
    var seed = Digest()
    let context = context.name.utf8.map { CChar(bitPattern: $0) }
    seed.withUnsafeMutableBytes { seedBytes in
      secretKey.withUnsafeBytes { secretBytes in
        _ = crypto_kdf_derive_from_key(
          seedBytes.octets, seedBytes.count, 1, context,
          secretBytes.octets)
      }
    }
    var publicKey = PublicKey()
    var derived = SecretKey()
    publicKey.withUnsafeMutableBytes { publicBytes in
      derived.withUnsafeMutableBytes { derivedBytes in
        seed.withUnsafeBytes { seedBytes in
          _ = crypto_sign_seed_keypair(
            publicBytes.octets, derivedBytes.octets, seedBytes.octets)
        }
      }
    }
    return KeyPair(publicKey: publicKey, secretKey: derived)
  }
}

/// The purpose of derived keys: 8 bytes that keep keys of different purposes distinct.
public struct DerivationContext: Hashable, Sendable {
  /// Always 8 bytes.
  let name: String

  /// The content feed of a database's writer: `hyperdb1`.
  public static let hyperdb = DerivationContext(name: "hyperdb1")
  /// The content feed of an archive: `hyperdri`.
  public static let hyperdrive = DerivationContext(name: "hyperdri")
}

extension PublicKey {
  /// The feed's public name. Calls `crypto_generichash`; hypercore-crypto `discoveryKey`.
  public var discoveryKey: DiscoveryKey {
    _ = Sodium.ready
    var name = DiscoveryKey()
    let message = Array("hypercore".utf8)
    name.withUnsafeMutableBytes { output in
      withUnsafeBytes { key in
        _ = crypto_generichash(
          output.octets, output.count, message, UInt64(message.count), key.octets,
          key.count)
      }
    }
    return name
  }

  /// Returns whether `signature` over `message` was made with this key's secret key.
  ///
  /// Calls `crypto_sign_verify_detached`.
  public func verifies(_ signature: Signature, of message: [UInt8]) -> Bool {
    message.withUnsafeBytes { verifies(signature, of: $0) }
  }

  /// Returns whether `signature` over `digest` was made with this key's secret key.
  public func verifies(_ signature: Signature, of digest: Digest) -> Bool {
    digest.withUnsafeBytes { verifies(signature, of: $0) }
  }

  private func verifies(_ signature: Signature, of message: UnsafeRawBufferPointer) -> Bool {
    _ = Sodium.ready
    return signature.withUnsafeBytes { signatureBytes in
      withUnsafeBytes { key in
        crypto_sign_verify_detached(
          signatureBytes.octets,
          message.octets, UInt64(message.count),
          key.octets) == 0
      }
    }
  }
}

extension SecretKey {
  /// The public half, which libsodium keeps in the last 32 bytes.
  public var publicKey: PublicKey {
    withUnsafeBytes { secret in
      var key = PublicKey()
      key.withUnsafeMutableBytes {
        $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: secret[32...]))
      }
      return key
    }
  }

  /// Signs `message`. Calls `crypto_sign_detached`.
  public func sign(_ message: [UInt8]) -> Signature {
    message.withUnsafeBytes { sign($0) }
  }

  /// Signs `digest`. Calls `crypto_sign_detached`.
  public func sign(_ digest: Digest) -> Signature {
    digest.withUnsafeBytes { sign($0) }
  }

  private func sign(_ message: UnsafeRawBufferPointer) -> Signature {
    _ = Sodium.ready
    var signature = Signature()
    signature.withUnsafeMutableBytes { output in
      withUnsafeBytes { key in
        _ = crypto_sign_detached(
          output.octets, nil,
          message.octets, UInt64(message.count),
          key.octets)
      }
    }
    return signature
  }
}
