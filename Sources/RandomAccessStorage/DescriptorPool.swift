internal import Foundation

/// The open files of this process's folder storages, up to a fixed number.
///
/// A file in use is pinned for the duration of one call. The least recently used file is closed when room is
/// needed, and the shared pool closes files that were not used for a while. A use of an open file costs two
/// turns of an uncontended lock.
///
/// `@unchecked Sendable`: `slots`, `clock`, `free`, `swept` and `isSwept` are accessed only between `lock()`
/// and `unlock()`; the rest is constant.
final class DescriptorPool: @unchecked Sendable {
  /// The pool of every ``FolderStorage`` that is given no other.
  static let shared = DescriptorPool(
    capacity: max(4, min(128, Platform.descriptorLimit / 2)), idleTime: .seconds(5))

  /// The slot of a file in the pool. The number tells whether the slot is still that file's.
  struct Ticket {
    var slot: Int
    var number: UInt64
    static let none = Ticket(slot: -1, number: 0)
  }

  private struct Slot {
    var descriptor: Int32
    var ticket: UInt64
    var pins: Int
    var lastUse: UInt64
  }

  private let lock = NSLock()
  private var slots: [Slot] = []
  private var free: [Int] = []
  private var clock: UInt64 = 0
  /// The clock at the last sweep.
  private var swept: UInt64 = 0
  /// True while a task sweeps: as long as files are open.
  private var isSwept = false
  private let idleTime: Duration?
  let capacity: Int
  /// The function that brings a descriptor's file to the disk; tests make it fail.
  let sync: @Sendable (Int32) -> Int32

  /// - Parameter idleTime: the approximate time without use after which files are closed; nil for never.
  init(
    capacity: Int, idleTime: Duration? = nil,
    sync: @escaping @Sendable (Int32) -> Int32 = { Platform.sync($0) }
  ) {
    self.capacity = capacity
    self.idleTime = idleTime
    self.sync = sync
  }

  /// The descriptor in a slot, kept open until ``unpin(_:_:)``; nil if it was closed since.
  func pin(_ ticket: Ticket) -> Int32? {
    guard ticket.slot >= 0 else { return nil }
    lock.lock()
    defer { lock.unlock() }
    guard slots[ticket.slot].ticket == ticket.number else { return nil }
    clock += 1
    slots[ticket.slot].pins += 1
    slots[ticket.slot].lastUse = clock
    return slots[ticket.slot].descriptor
  }

  /// Ends a use. A descriptor without a slot is closed.
  func unpin(_ ticket: Ticket, _ descriptor: Int32) {
    guard ticket.slot >= 0 else {
      Platform.closeFile(descriptor)
      return
    }
    lock.lock()
    slots[ticket.slot].pins -= 1
    lock.unlock()
  }

  /// Takes over a newly opened descriptor, pinned, and closes another if there are too many.
  ///
  /// - Returns: ``Ticket/none`` if all slots are pinned: the descriptor then serves this one use.
  func adopt(_ descriptor: Int32) -> Ticket {
    lock.lock()
    clock += 1
    var victim: Int32 = -1
    let slot: Int
    if let index = free.popLast() {
      slot = index
    } else if slots.count < capacity {
      slot = slots.count
      slots.append(Slot(descriptor: -1, ticket: 0, pins: 0, lastUse: 0))
    } else if let index = leastRecentlyUsed() {
      slot = index
      victim = slots[index].descriptor
    } else {
      lock.unlock()
      return .none
    }
    slots[slot] = Slot(descriptor: descriptor, ticket: clock, pins: 1, lastUse: clock)
    let ticket = Ticket(slot: slot, number: clock)
    let startsSweeping = idleTime != nil && !isSwept
    if startsSweeping { isSwept = true }
    lock.unlock()
    if startsSweeping { startSweeping() }
    if victim >= 0 { Platform.closeFile(victim) }
    return ticket
  }

  /// Closes the descriptor of a file, if it is still open.
  func release(_ ticket: Ticket) {
    guard ticket.slot >= 0 else { return }
    lock.lock()
    guard slots[ticket.slot].ticket == ticket.number else {
      lock.unlock()
      return
    }
    let descriptor = empty(ticket.slot)
    lock.unlock()
    Platform.closeFile(descriptor)
  }

  /// Closes every descriptor that is not in use, when the process has run out of them.
  func closeIdle() {
    lock.lock()
    var closing: [Int32] = []
    for slot in slots.indices where slots[slot].descriptor >= 0 && slots[slot].pins == 0 {
      closing.append(empty(slot))
    }
    lock.unlock()
    for descriptor in closing { Platform.closeFile(descriptor) }
  }

  private func startSweeping() {
    guard let idleTime else { return }
    Task.detached(priority: .utility) { [weak self] in
      repeat {
        try? await Task.sleep(for: idleTime)
      } while self?.sweep() ?? false
    }
  }

  /// Closes descriptors that were not used since the last sweep.
  ///
  /// - Returns: true if any file is still open.
  func sweep() -> Bool {
    let (closing, goesOn) = lock.withLock {
      var closing: [Int32] = []
      for slot in slots.indices
      where slots[slot].descriptor >= 0 && slots[slot].pins == 0 && slots[slot].lastUse <= swept {
        closing.append(empty(slot))
      }
      swept = clock
      isSwept = slots.count > free.count
      return (closing, isSwept)
    }
    for descriptor in closing { Platform.closeFile(descriptor) }
    return goesOn
  }

  /// The number of descriptors that the pool holds open.
  var openCount: Int {
    lock.lock()
    defer { lock.unlock() }
    return slots.count - free.count
  }

  /// Empties a slot. The lock is held.
  private func empty(_ slot: Int) -> Int32 {
    let descriptor = slots[slot].descriptor
    slots[slot] = Slot(descriptor: -1, ticket: 0, pins: 0, lastUse: 0)
    free.append(slot)
    return descriptor
  }

  /// The slot to reuse. The lock is held. A scan is fine: it precedes an open of a file.
  private func leastRecentlyUsed() -> Int? {
    var found: Int?
    var oldest = UInt64.max
    for slot in slots.indices where slots[slot].pins == 0 && slots[slot].lastUse < oldest {
      oldest = slots[slot].lastUse
      found = slot
    }
    return found
  }
}
