internal import Foundation
internal import RandomAccessStorage

/// A value that several threads may use, one at a time.
///
/// `@unchecked Sendable`: the value is accessed only through `with`, which holds the lock.
final class Guarded<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value

  init(_ value: Value) { self.value = value }

  func with<Result>(_ body: (inout Value) -> Result) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return body(&value)
  }
}

/// The failure of an observed call.
struct Fault {
  var error: StorageError
  /// True if a write leaves its first half written.
  var tears: Bool
}

/// A file that reports each call to an observer, which may make it fail, and forwards it.
final class ObservedFile: RandomAccessStorage {
  typealias Call = TrackingStorage.Call
  private let name: String
  private let wrapped: any RandomAccessStorage
  private let observe: (Call) -> Fault?

  init(_ name: String, _ wrapped: any RandomAccessStorage, observe: @escaping (Call) -> Fault?) {
    self.name = name
    self.wrapped = wrapped
    self.observe = observe
  }

  private func check(_ kind: Call.Kind, _ ranges: [Range<UInt64>] = []) throws(StorageError) {
    if let fault = observe(Call(kind: kind, name: name, ranges: ranges)) { throw fault.error }
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
    -> Int
  {
    try check(.read, [Self.range(offset, UInt64(buffer.count))])
    return try wrapped.read(at: offset, into: buffer)
  }

  func write(_ pieces: [StorageWrite]) throws(StorageError) {
    let ranges = pieces.map { Self.range($0.offset, UInt64($0.bytes.count)) }
    guard let fault = observe(Call(kind: .write, name: name, ranges: ranges)) else {
      return try wrapped.write(pieces)
    }
    if fault.tears {
      var left = pieces.reduce(0) { $0 + $1.bytes.count } / 2
      var torn: [StorageWrite] = []
      for piece in pieces where left > 0 {
        torn.append(StorageWrite(offset: piece.offset, bytes: Array(piece.bytes.prefix(left))))
        left -= piece.bytes.count
      }
      try wrapped.write(torn)
    }
    throw fault.error
  }

  func length() throws(StorageError) -> UInt64 {
    try check(.length)
    return try wrapped.length()
  }

  /// Forwarded without a report: a hint that costs no read.
  func nextStored(from offset: UInt64) throws(StorageError) -> UInt64? {
    try wrapped.nextStored(from: offset)
  }

  func occupied() throws(StorageError) -> UInt64 { try wrapped.occupied() }

  func delete(at offset: UInt64, count: UInt64) throws(StorageError) {
    try check(.delete, [Self.range(offset, count)])
    try wrapped.delete(at: offset, count: count)
  }

  func truncate(to length: UInt64) throws(StorageError) {
    try check(.truncate)
    try wrapped.truncate(to: length)
  }

  func sync() throws(StorageError) {
    try check(.sync)
    try wrapped.sync()
  }

  func close() {
    _ = observe(Call(kind: .close, name: name, ranges: []))
    wrapped.close()
  }

  private static func range(_ offset: UInt64, _ count: UInt64) -> Range<UInt64> {
    let (end, overflow) = offset.addingReportingOverflow(count)
    return offset..<(overflow ? .max : end)
  }
}
