import CoreMetrics
import DatMetrics
import DatTesting
import Foundation
import Testing

struct PrometheusMetricsTests {
  let metrics = PrometheusMetrics()

  @Test func `counters, gauges and histograms are told in the text format`() throws {
    let counter = metrics.makeCounter(label: "requests_total", dimensions: [("kind", "a")])
    counter.increment(by: 2)
    counter.increment(by: 3)
    metrics.makeRecorder(label: "peers", dimensions: [], aggregate: false).record(Int64(7))
    metrics.makeMeter(label: "load", dimensions: []).set(0.25)
    let timer = metrics.makeTimer(label: "seconds", dimensions: [])
    timer.recordNanoseconds(2_000_000)
    timer.recordNanoseconds(2_000_000_000)
    let page = try PrometheusPage(metrics.text())
    #expect(
      page.kinds == [
        "requests_total": "counter", "peers": "gauge", "load": "gauge", "seconds": "histogram",
      ])
    #expect(page.values["requests_total{kind=a}"] == 5)
    #expect(page.values["peers"] == 7)
    #expect(page.values["load"] == 0.25)
    #expect(page.values["seconds_bucket{le=0.001}"] == 0)
    #expect(page.values["seconds_bucket{le=0.005}"] == 1)
    #expect(page.values["seconds_bucket{le=5}"] == 2)
    #expect(page.values["seconds_bucket{le=+Inf}"] == 2)
    #expect(page.values["seconds_count"] == 2)
    #expect(page.values["seconds_sum"] == 2.002)
  }

  @Test func `one name and labels are one series, and counters never fall`() throws {
    for _ in 0..<3 {
      metrics.makeCounter(label: "n", dimensions: [("a", "1"), ("b", "2")]).increment(by: 1)
    }
    metrics.makeFloatingPointCounter(label: "n", dimensions: [("a", "1"), ("b", "2")])
      .increment(by: -5.0)
    #expect(try PrometheusPage(metrics.text()).values == ["n{a=1,b=2}": 3])
  }

  @Test func `labels are escaped, and names mended`() throws {
    let value = "back\\slash \"quote\"\nline"
    metrics.makeCounter(label: "1.bad-name", dimensions: [("a:b", value)]).increment(by: 1)
    let page = try PrometheusPage(metrics.text())
    #expect(page.values == ["_1_bad_name{a_b=\(value)}": 1])
  }

  @Test func `a second kind under one name does not spoil the page`() throws {
    metrics.makeCounter(label: "x", dimensions: []).increment(by: 1)
    metrics.makeTimer(label: "x", dimensions: [("a", "b")]).recordNanoseconds(1)
    #expect(try PrometheusPage(metrics.text()).values == ["x": 1])
  }

  @Test func `many tasks count into one series`() async throws {
    await withDiscardingTaskGroup { group in
      for _ in 0..<16 {
        group.addTask { [metrics] in
          for _ in 0..<500 { metrics.makeCounter(label: "n", dimensions: []).increment(by: 1) }
        }
      }
    }
    #expect(try PrometheusPage(metrics.text()).values["n"] == 8000)
  }
}
