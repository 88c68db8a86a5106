internal import CSodium

/// libsodium, initialized once per process before its first use.
enum Sodium {
  /// Accessing it initializes libsodium. It stops the process on a machine on which libsodium can't
  /// work at all.
  static let ready: Void = {
    precondition(sodium_init() >= 0, "libsodium could not be initialised")
  }()
}

extension UnsafeRawBufferPointer {
  /// The bytes as libsodium takes them. For an empty buffer, an address that is never read, since
  /// libsodium needs one that is not null.
  var octets: UnsafePointer<UInt8> {
    let address = baseAddress ?? UnsafeRawPointer(bitPattern: 1)!
    return address.assumingMemoryBound(to: UInt8.self)
  }
}

extension UnsafeMutableRawBufferPointer {
  /// The bytes as libsodium takes them; see the immutable variant.
  var octets: UnsafeMutablePointer<UInt8> {
    let address = baseAddress ?? UnsafeMutableRawPointer(bitPattern: 1)!
    return address.assumingMemoryBound(to: UInt8.self)
  }
}
