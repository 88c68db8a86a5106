internal import DatFleet
internal import DatFleetSimulation
internal import Dispatch
internal import Foundation

/// Simulates a day of a large fleet and prints its figures: `dat-fleet-campaign [HOSTS] [KEYS] [SEED]`.
@main struct FleetCampaign {
  static func main() {
    let numbers = CommandLine.arguments.dropFirst().map { Int($0) ?? 0 }
    var settings = FleetDay<CampaignRandom>.Settings()
    if numbers.count > 0, numbers[0] > 2 { settings.hosts = numbers[0] }
    if numbers.count > 1, numbers[1] > 0 { settings.keys = numbers[1] }
    let seed = UInt64(numbers.count > 2 ? max(numbers[2], 0) : 1)
    print("\(settings.hosts) hosts, \(settings.keys) keys, \(settings.copies) copies, seed \(seed)")
    let start = ContinuousClock.now
    ListCosts.report(hosts: settings.hosts, keys: settings.keys)
    share(settings)
    var day = FleetDay(settings: settings, random: CampaignRandom(seed: seed)) { keys, rank in
      [FleetRanking](unsafeUninitializedCapacity: keys.count) { rankings, count in
        nonisolated(unsafe) let start = rankings.baseAddress
        nonisolated(unsafe) let rank = rank
        let parts = 64
        // Each part writes rankings of its own.
        DispatchQueue.concurrentPerform(iterations: parts) { part in
          for place in keys.count * part / parts..<keys.count * (part + 1) / parts {
            start.map { ($0 + place).initialize(to: rank(keys[place])) }
          }
        }
        count = keys.count
      }
    }
    print("all keys ranked after \(ContinuousClock.now - start)")
    day.run { time in FileHandle.standardError.write(Data("hour \(time / 3600)\n".utf8)) }
    for line in day.figures.lines { print(line) }
    print("simulated in \(ContinuousClock.now - start)")
  }

  /// Measures what one host computes to know its share.
  private static func share(_ settings: FleetDay<CampaignRandom>.Settings) {
    var roll = FleetRoll((0..<settings.hosts).map { "host-\($0)" })
    var share = FleetShare(own: 0, copies: settings.copies)
    let keys = (0..<settings.keys).map { simulatedKey($0) }
    let clock = ContinuousClock()
    var mine = 0
    let first = clock.measure { for key in keys where share.insert(key, roll) { mine += 1 } }
    print("a host's share: \(mine) keys, \(share.hashes) hashes, \(first)")
    var before = share.hashes
    let came = [roll.insert("new")]
    let coming = clock.measure { _ = share.update(came: came, left: [], roll) }
    print("a host that comes: \(share.hashes - before) hashes, \(coming)")
    before = share.hashes
    roll.remove(1)
    let going = clock.measure { _ = share.update(came: [], left: [1], roll) }
    print("a host that goes: \(share.hashes - before) hashes, \(going)")
  }
}
