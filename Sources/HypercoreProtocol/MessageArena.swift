package import CProtobufC

/// The memory that protobuf-c unpacks one message into: allocations only move a mark, which goes back
/// to the start for the next message. It holds what was reserved and no more: an allocation beyond
/// that is refused, which makes protobuf-c give the message up.
package final class MessageArena {
  private struct Memory {
    var base: UnsafeMutableRawPointer?
    var capacity = 0
    var used = 0
  }

  /// What is kept between messages; more than that is given back after use.
  private let keptBytes: Int

  /// The most that was ever reserved.
  private(set) var largestReservation = 0

  private let memory: UnsafeMutablePointer<Memory>
  private let allocator: UnsafeMutablePointer<ProtobufCAllocator>

  package init(keeping bytes: Int) {
    keptBytes = bytes
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

  /// An allocator that hands out at most `bytes` until ``release()``, which takes all of it back.
  package func reserve(_ bytes: Int) -> UnsafeMutablePointer<ProtobufCAllocator> {
    largestReservation = max(largestReservation, bytes)
    if memory.pointee.capacity < bytes {
      memory.pointee.base?.deallocate()
      let capacity = max(bytes, keptBytes / 4)
      memory.pointee.base = .allocate(byteCount: capacity, alignment: 16)
      memory.pointee.capacity = capacity
    }
    memory.pointee.used = 0
    return allocator
  }

  /// Takes back what was handed out since ``reserve(_:)``.
  package func release() {
    guard memory.pointee.capacity > keptBytes else { return }
    memory.pointee.base?.deallocate()
    memory.pointee = Memory()
  }
}
