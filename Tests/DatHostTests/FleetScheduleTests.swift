import Testing

@testable import DatHost

/// The steps of a fleet that are due by the clock.
@Suite struct FleetScheduleTests {
  private func never() -> Task<Void, Never> { Task { try? await Task.sleep(for: .seconds(600)) } }

  @Test func `a step is set anew only for an earlier time`() {
    var schedule = FleetSchedule()
    var tasks: [Task<Void, Never>] = []
    for deadline in [UInt64(50), 60, 20] {
      schedule.setStep(for: deadline) { _ in
        tasks.append(never())
        return tasks[tasks.count - 1]
      }
    }
    #expect(tasks.map(\.isCancelled) == [true, false])
    schedule.noteStep()
    schedule.setStep(for: 0) { pause in
      // One step a second at most.
      #expect(pause > .zero)
      tasks.append(never())
      return tasks[tasks.count - 1]
    }
    #expect(tasks.count == 3)
    let isFirst = schedule.close()
    #expect(isFirst)
    #expect(tasks.map(\.isCancelled) == [true, false, true])
    tasks[1].cancel()
  }

  @Test func `many changes are written at once, and nothing is due once it is closed`() {
    var schedule = FleetSchedule()
    let waits = (0..<3).map { _ in schedule.beginWaitingToSave() }
    #expect(waits == [true, false, false])
    let isDue = schedule.endWaitingToSave()
    #expect(isDue)
    let isWaiting = schedule.beginWaitingToSave()
    #expect(isWaiting)
    let task = never()
    schedule.add(task)
    let isFirst = schedule.close()
    let isSecond = schedule.close()
    #expect(isFirst && !isSecond && schedule.isClosed && task.isCancelled)
    let isDueAfterwards = schedule.endWaitingToSave()
    #expect(!isDueAfterwards)
    let late = never()
    schedule.add(late)
    #expect(late.isCancelled)
    schedule.setStep(for: 0) { _ in
      Issue.record("a step was set")
      return never()
    }
  }
}
