public import CoreMetrics
internal import NIOConcurrencyHelpers

/// A collector of a program's swift-metrics measurements, which prints them in Prometheus' text format.
///
/// ```swift
/// let metrics = PrometheusMetrics()
/// MetricsSystem.bootstrap(metrics)
/// print(metrics.text())
/// ```
///
/// Counters become counters, gauges and meters gauges, timers histograms of seconds, aggregating recorders
/// histograms. Characters that a name can't have become `_`.
public final class PrometheusMetrics: MetricsFactory {
  /// The upper bounds of the buckets of timers, in seconds.
  public static let secondBuckets: [Double] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600, 3_600, 86_400,
  ]
  /// The upper bounds of the buckets of other histograms.
  public static let valueBuckets: [Double] = (0..<12).map { Double(1 << (2 * $0)) }

  /// The most series that are kept; further ones are not counted.
  public static let seriesLimit = 10_000

  struct Key: Hashable {
    let name: String
    let labels: [String]
  }

  private let series = NIOLockedValueBox<[Key: Series]>([:])

  /// Creates a collector without measurements.
  public init() {}

  // MARK: Making

  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    find(label, dimensions, .counter)
  }

  public func makeFloatingPointCounter(
    label: String, dimensions: [(String, String)]
  ) -> any FloatingPointCounterHandler { find(label, dimensions, .counter) }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    find(label, dimensions, .gauge)
  }

  public func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    find(label, dimensions, aggregate ? .histogram(Self.valueBuckets) : .gauge)
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    find(label, dimensions, .histogram(Self.secondBuckets))
  }

  // Series live as long as the program: a counter that starts over would look like a restart.
  public func destroyCounter(_ handler: any CounterHandler) {}
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
  public func destroyMeter(_ handler: any MeterHandler) {}
  public func destroyRecorder(_ handler: any RecorderHandler) {}
  public func destroyTimer(_ handler: any TimerHandler) {}

  private func find(_ label: String, _ dimensions: [(String, String)], _ kind: Series.Kind)
    -> Series
  {
    let key = Key(
      name: PrometheusText.name(label, colons: true),
      labels: dimensions.map { PrometheusText.label($0, $1) })
    return series.withLockedValue { series in
      if let known = series[key], known.kind == kind { return known }
      let new = Series(kind)
      // A name has one kind: a second kind would make the page unreadable.
      let fits = !series.contains { $0.key.name == key.name && $0.value.kind.word != kind.word }
      if fits, series[key] == nil, series.count < Self.seriesLimit { series[key] = new }
      return new
    }
  }

  // MARK: Printing

  /// Everything measured so far, in Prometheus' text format 0.0.4.
  public func text() -> String {
    let all = series.withLockedValue { $0 }
    var text = ""
    var last = ""
    for (key, series) in all.sorted(by: {
      ($0.key.name, $0.key.labels.joined()) < ($1.key.name, $1.key.labels.joined())
    }) {
      if key.name != last {
        text += "# TYPE \(key.name) \(series.kind.word)\n"
        last = key.name
      }
      PrometheusText.append(series.state, of: series.kind, key, to: &text)
    }
    return text
  }
}

/// One series of numbers: a name with its labels.
final class Series: Sendable {
  enum Kind: Hashable, Sendable {
    case counter
    case gauge
    /// A histogram with the upper bounds of its buckets.
    case histogram([Double])

    var word: String {
      switch self {
      case .counter: "counter"
      case .gauge: "gauge"
      case .histogram: "histogram"
      }
    }
  }

  struct State: Sendable {
    var value = 0.0
    /// The number of values in each bucket; the last bucket has the values above all bounds.
    var buckets: [UInt64] = []
    var count: UInt64 = 0
  }

  let kind: Kind
  private let box: NIOLockedValueBox<State>

  init(_ kind: Kind) {
    self.kind = kind
    var state = State()
    if case .histogram(let bounds) = kind {
      state.buckets = Array(repeating: 0, count: bounds.count + 1)
    }
    box = NIOLockedValueBox(state)
  }

  var state: State { box.withLockedValue { $0 } }

  func add(_ amount: Double) { box.withLockedValue { $0.value += amount } }
  func store(_ value: Double) { box.withLockedValue { $0.value = value } }

  func observe(_ value: Double) {
    guard case .histogram(let bounds) = kind else { return store(value) }
    let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
    box.withLockedValue {
      $0.value += value
      $0.count += 1
      $0.buckets[bucket] += 1
    }
  }
}

extension Series: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler,
  TimerHandler
{
  func increment(by amount: Int64) { add(Double(amount)) }
  func increment(by amount: Double) {
    // Counters only go up.
    if kind == .counter, !(amount > 0) { return }
    add(amount)
  }
  func reset() { store(0) }
  func set(_ value: Int64) { store(Double(value)) }
  func set(_ value: Double) { store(value) }
  func decrement(by amount: Double) { add(-amount) }
  func record(_ value: Int64) { observe(Double(value)) }
  func record(_ value: Double) { observe(value) }
  func recordNanoseconds(_ duration: Int64) { observe(Double(duration) / 1e9) }
}
