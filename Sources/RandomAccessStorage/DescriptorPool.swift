internal import Foundation

/// The open files of this process's folder storages, at most so many at once.
///
/// A file that is used is pinned for the length of one call; the one that was not used for longest is
/// closed when room is needed, and the shared pool closes those that were not used for a while. A use
/// of an open file costs two turns of an uncontended lock.
///
/// `@unchecked Sendable`: `slots`, `clock`, `free`, `swept` and `isSwept` are touched only between `lock()` and
/// `unlock()`; the rest is constant.
final class DescriptorPool: @unchecked Sendable {
  /// The pool of every ``FolderStorage`` that names no other.
  static let shared = DescriptorPool(
    capacity: max(4, min(128, Platform.descriptorLimit / 2)), idleTime: .seconds(5))

  /// Where a file is in the pool. The ticket tells whether the slot is still the same file's.
  struct Place {
    var slot: Int
    var ticket: UInt64
    static let none = Place(slot: -1, ticket: 0)
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
  /// Whether somebody sweeps: while files are open.
  private var isSwept = false
  private let idleTime: Duration?
  let capacity: Int
  /// What brings a descriptor's file to the disk; tests make it fail.
  let sync: @Sendable (Int32) -> Int32

  /// - Parameter idleTime: files are closed when they were not used for about so long; nil for never.
  init(
    capacity: Int, idleTime: Duration? = nil,
    sync: @escaping @Sendable (Int32) -> Int32 = { Platform.sync($0) }
  ) {
    self.capacity = capacity
    self.idleTime = idleTime
    self.sync = sync
  }

  /// The descriptor at a place, kept open until ``unpin(_:_:)``; nil if it was closed since.
  func pin(_ place: Place) -> Int32? {
    guard place.slot >= 0 else { return nil }
    lock.lock()
    defer { lock.unlock() }
    guard slots[place.slot].ticket == place.ticket else { return nil }
    clock += 1
    slots[place.slot].pins += 1
    slots[place.slot].lastUse = clock
    return slots[place.slot].descriptor
  }

  /// Ends a use; a descriptor that found no place is closed.
  func unpin(_ place: Place, _ descriptor: Int32) {
    guard place.slot >= 0 else {
      Platform.closeFile(descriptor)
      return
    }
    lock.lock()
    slots[place.slot].pins -= 1
    lock.unlock()
  }

  /// Takes over a freshly opened descriptor, pinned, and closes another if there are too many.
  ///
  /// - Returns: ``Place/none`` when all places are pinned: the descriptor then serves this one use.
  func adopt(_ descriptor: Int32) -> Place {
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
    let place = Place(slot: slot, ticket: clock)
    let startsSweeping = idleTime != nil && !isSwept
    if startsSweeping { isSwept = true }
    lock.unlock()
    if startsSweeping { startSweeping() }
    if victim >= 0 { Platform.closeFile(victim) }
    return place
  }

  /// Closes what a file holds open, if it still does.
  func giveUp(_ place: Place) {
    guard place.slot >= 0 else { return }
    lock.lock()
    guard slots[place.slot].ticket == place.ticket else {
      lock.unlock()
      return
    }
    let descriptor = empty(place.slot)
    lock.unlock()
    Platform.closeFile(descriptor)
  }

  /// Closes everything that is not in use, for when the process has run out of descriptors.
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

  /// Closes what was not used since the last sweep.
  ///
  /// - Returns: whether any file is still open.
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

  /// How many descriptors the pool holds open.
  var openCount: Int {
    lock.lock()
    defer { lock.unlock() }
    return slots.count - free.count
  }

  /// Takes a slot out of use. The lock is held.
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
