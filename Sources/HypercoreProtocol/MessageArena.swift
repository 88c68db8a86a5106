package import CProtobufC

/// The memory into which protobuf-c unpacks one message. Allocations only move a mark, which is
/// reset for the next message. The arena has exactly the memory that was reserved: a larger
/// allocation is refused, which makes protobuf-c give up the message.
package final class MessageArena {
  private struct Memory {
    var base: UnsafeMutableRawPointer?
    var capacity = 0
    var used = 0
  }

  /// The memory that is kept between messages; more than that is released after use.
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

  /// Returns an allocator of at most `bytes`, valid until ``release()``, which takes all of it
  /// back.
  package func reserve(_ bytes: Int) -> UnsafeMutablePointer<ProtobufCAllocator> {
    largestReservation = max(largestReservation, bytes)
    if memory.pointee.capacity < bytes {
      memory.pointee.base?.deallocate()
      // Little at first, since most connections are idle and read only small messages.
      let capacity = max(bytes, keptBytes / 16, min(2 * memory.pointee.capacity, keptBytes))
      memory.pointee.base = .allocate(byteCount: capacity, alignment: 16)
      memory.pointee.capacity = capacity
    }
    memory.pointee.used = 0
    return allocator
  }

  /// The memory that is held, in bytes.
  var capacity: Int { memory.pointee.capacity }

  /// Frees the memory that is kept between messages. Call it between two messages.
  package func shed() {
    memory.pointee.base?.deallocate()
    memory.pointee = Memory()
  }

  /// Takes back all memory that was allocated since ``reserve(_:)``.
  package func release() {
    if memory.pointee.capacity > keptBytes { shed() }
  }
}
