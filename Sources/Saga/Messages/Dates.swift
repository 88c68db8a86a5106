public import Foundation

// The times that users say, as dates. None of them is proven.

extension Date {
  /// Makes the date of a time in milliseconds since 1970.
  init(milliseconds: Int64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1000) }
}

extension Message {
  /// The time of writing, by the author's clock: ``timestamp`` as a date.
  public var date: Date { Date(milliseconds: timestamp) }
}

extension RoomOperation {
  /// The time of writing, by the author's clock: ``timestamp`` as a date.
  public var date: Date { Date(milliseconds: timestamp) }
}

extension UserData {
  /// The time since which the user is there, by the user's clock: ``timestamp`` as a date.
  public var date: Date { Date(milliseconds: timestamp) }
}

extension Saga {
  /// The time since which this user is here: ``timestamp`` as a date.
  public nonisolated var date: Date { Date(milliseconds: timestamp) }
}
