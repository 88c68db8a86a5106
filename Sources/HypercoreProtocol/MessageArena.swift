internal import CProtobufC

/// The memory that protobuf-c unpacks one message into: allocations only move a mark, which goes back
/// to the start for the next message. It holds what was reserved and no more: an allocation beyond
/// that is refused, which makes protobuf-c give the message up.
final class MessageArena {
  private struct Memory {
    var base: UnsafeMutableRawPointer?
    var capacity = 0
    var used = 0
  }

  /// What is kept between messages; more than that is given back after use.
  private static let keptBytes = 16_384

  /// The most that was ever reserved.
  private(set) var largestReservation = 0

  private let memory: UnsafeMutablePointer<Memory>
  private let allocator: UnsafeMutablePointer<ProtobufCAllocator>

  init() {
    memory = .allocate(capacity: 1)
    memory.initialize(to: Memory())
    allocator = .allocate(capacity: 1)
    allocator.initialize(
      to: ProtobufCAllocator(
        alloc: { data, size in
          guard let memory = data?.assumingMemoryBound(to: Memory.self),
            let base = memory.pointee.base
          else { return nil }
          let used = memory.pointee.used
          guard size <= memory.pointee.capacity - used else { return nil }
          memory.pointee.used = min((used + size + 15) & ~15, memory.pointee.capacity)
          return base + used
        },
        free: { _, _ in },
        allocator_data: memory))
  }

  deinit {
    memory.pointee.base?.deallocate()
    memory.deallocate()
    allocator.deallocate()
  }

  /// Gives `body` an allocator that hands out at most `bytes`, and takes all of it back after.
  func withAllocator<Result>(
    reserving bytes: Int, _ body: (UnsafeMutablePointer<ProtobufCAllocator>) -> Result
  ) -> Result {
    largestReservation = max(largestReservation, bytes)
    if memory.pointee.capacity < bytes {
      memory.pointee.base?.deallocate()
      let capacity = max(bytes, 4096)
      memory.pointee.base = .allocate(byteCount: capacity, alignment: 16)
      memory.pointee.capacity = capacity
    }
    memory.pointee.used = 0
    defer {
      if memory.pointee.capacity > Self.keptBytes {
        memory.pointee.base?.deallocate()
        memory.pointee = Memory()
      }
    }
    return body(allocator)
  }
}
