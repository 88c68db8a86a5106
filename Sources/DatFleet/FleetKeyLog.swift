internal import HypercoreCrypto

/// The bytes of a fleet's list of keys in a file, to which each change is appended.
///
///     record   41 bytes of the entry, 7 bytes of proof
///
/// The proof is the start of BLAKE2b-128 over the entry. A record that a crash has torn, or that a disk has changed, is
/// passed over: the other members have the entry, and send it when they compare lists.
package enum FleetKeyLog {
  /// The bytes of a record.
  package static let recordSize = 48
  private static let proofSize = recordSize - FleetEntry.byteCount

  /// Returns the record of an entry.
  package static func record(of entry: FleetEntry) -> [UInt8] {
    let bytes = entry.encoded
    return bytes + proof(of: bytes)
  }

  private static func proof(of entry: [UInt8]) -> [UInt8] {
    Array(KeyedHash.hash([entry], key: [], count: 16).prefix(proofSize))
  }

  /// Reads the records of a file.
  ///
  /// - Returns: the entries in their order, and the number of records that can't be read, an incomplete one at the end
  ///   among them.
  package static func read(_ bytes: [UInt8]) -> (entries: [FleetEntry], unreadable: Int) {
    var entries: [FleetEntry] = []
    entries.reserveCapacity(bytes.count / recordSize)
    var unreadable = bytes.count % recordSize == 0 ? 0 : 1
    for start in stride(from: 0, to: bytes.count - bytes.count % recordSize, by: recordSize) {
      let entry = Array(bytes[start..<start + FleetEntry.byteCount])
      let proof = Array(bytes[start + FleetEntry.byteCount..<start + recordSize])
      guard self.proof(of: entry) == proof, let entry = FleetEntry(decoding: entry) else {
        unreadable += 1
        continue
      }
      entries.append(entry)
    }
    return (entries, unreadable)
  }
}
