import DatTesting

/// A step in a ``SimulatedRoom``. Numbers of members and connections are taken modulo their count, so any steps
/// make a plan.
enum RoomStep: CustomStringConvertible {
  case put(Int, String)
  case delete(Int, String)
  case batch(Int, [String])
  case authorize(by: Int, Int)
  case connect(Int, Int, breaksAfter: Int?)
  case disconnect(Int)
  /// The network falls into two parts, by the bits of the mask; 0 heals it.
  case part(Int)
  case wait(milliseconds: Int)
  /// The process is killed, or the machine loses power: between two calls, or inside one.
  case crash(Int, SimulatedDisk.Loss, inside: Bool)
  /// The hostile writer writes something.
  case misbehave(HostileWriter.Kind)

  var description: String {
    switch self {
    case .put(let member, let key): ".put(\(member), \"\(key)\")"
    case .delete(let member, let key): ".delete(\(member), \"\(key)\")"
    case .batch(let member, let keys): ".batch(\(member), \(keys))"
    case .authorize(let by, let member): ".authorize(by: \(by), \(member))"
    case .connect(let one, let other, let breaks):
      ".connect(\(one), \(other), breaksAfter: \(breaks.map(String.init) ?? "nil"))"
    case .disconnect(let number): ".disconnect(\(number))"
    case .part(let mask): ".part(\(mask))"
    case .wait(let milliseconds): ".wait(milliseconds: \(milliseconds))"
    case .crash(let member, let loss, let inside): ".crash(\(member), .\(loss), inside: \(inside))"
    case .misbehave(let kind): ".misbehave(.\(kind))"
    }
  }

  static let keys = ["a", "a/b", "b", "m/0", "m/1", "m/2", "mpomeiehc", "idgcmnmna"]

  static func random(isHostile: Bool, using random: inout SeededRandom) -> RoomStep {
    let member = Int.random(in: 0..<840, using: &random)
    let key = keys[Int.random(in: keys.indices, using: &random)]
    switch Int.random(in: 0..<24, using: &random) {
    case 0..<6: return .put(member, key)
    case 6: return .delete(member, key)
    case 7:
      let count = Int.random(in: 1...4, using: &random)
      return .batch(
        member, (0..<count).map { _ in keys[Int.random(in: keys.indices, using: &random)] })
    case 8..<10: return .authorize(by: 0, member)
    case 10: return .authorize(by: member, Int.random(in: 0..<840, using: &random))
    case 11..<16:
      return .connect(
        member, Int.random(in: 0..<840, using: &random),
        breaksAfter: random.chance(0.3) ? Int.random(in: 0...4000, using: &random) : nil)
    case 16: return .disconnect(member)
    case 17: return .part(random.chance(0.5) ? 0 : member & 255)
    case 18..<20: return .wait(milliseconds: Int.random(in: 0...80, using: &random))
    case 20:
      let inside = random.chance(0.5)
      let losses: [SimulatedDisk.Loss] =
        inside ? [.nothing, .unsynced] : SimulatedDisk.Loss.allCases
      return .crash(
        member, losses[Int.random(in: losses.indices, using: &random)], inside: inside)
    default:
      guard isHostile else { return .wait(milliseconds: 10) }
      let kinds = HostileWriter.Kind.allCases
      return .misbehave(kinds[Int.random(in: kinds.indices, using: &random)])
    }
  }
}
