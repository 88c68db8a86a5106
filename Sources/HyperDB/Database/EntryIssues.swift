/// The entries that can't be read and are left out of the database.
struct EntryIssues {
  /// The first ``HyperDBLimits/rememberedIssues`` of them.
  private(set) var remembered: [HyperDBError] = []
  /// The number of such entries in all.
  private(set) var count = 0

  /// Counts a fault, unless it is remembered.
  mutating func add(_ fault: HyperDBError, at location: FeedSequence) {
    if self.fault(at: location) != nil { return }
    count += 1
    if remembered.count < HyperDBLimits.rememberedIssues { remembered.append(fault) }
  }

  /// The fault of an entry, if it is remembered.
  func fault(at location: FeedSequence) -> HyperDBError? {
    remembered.first { $0.feed == location.feed && $0.seq == location.seq }
  }
}
