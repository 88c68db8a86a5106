/// The value of a number, however it is written: its digits without zeros at either end, and the power of ten
/// of the last one.
struct DecimalDigits: Equatable {
  private var isNegative = false
  private var digits: [UInt8] = []
  private var power = 0

  /// Reads a JSON number from its text.
  init(_ text: String) {
    var hasPoint = false
    var fraction = 0
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "-"): isNegative = true
      case UInt8(ascii: "."): hasPoint = true
      case 0x30...0x39:
        digits.append(byte)
        if hasPoint { fraction += 1 }
      default:
        // An exponent beyond `Int` belongs to zero, or to a number that is infinite or rounds to zero.
        power = Int(String(decoding: rest, as: UTF8.self)) ?? .max / 2
        rest = []
      }
    }
    // `fraction` is a number of digits that were read, and so far from the limits of `Int`.
    power = min(max(power, .min / 2), .max / 2) - fraction
    while digits.last == 0x30 {
      digits.removeLast()
      power += 1
    }
    digits = Array(digits.drop { $0 == 0x30 })
    if digits.isEmpty { (power, isNegative) = (0, false) }
  }

  /// The number in the format of JavaScript's `String(number)`.
  ///
  /// Source: ECMA-262, Number::toString.
  var scriptText: String {
    let sign = isNegative ? "-" : ""
    guard !digits.isEmpty else { return "0" }
    let text = String(decoding: digits, as: UTF8.self)
    // The number of digits before the point.
    let whole = digits.count + power
    switch whole {
    case ...21 where power >= 0: return sign + text + zeros(power)
    case 1...21:
      return sign + String(decoding: digits[..<whole], as: UTF8.self) + "."
        + String(decoding: digits[whole...], as: UTF8.self)
    case -5...0: return sign + "0." + zeros(-whole) + text
    default:
      let exponent = whole - 1
      let fraction = digits.count == 1 ? "" : "." + String(decoding: digits[1...], as: UTF8.self)
      let first = String(decoding: digits[..<1], as: UTF8.self)
      return sign + first + fraction + "e" + (exponent < 0 ? "-" : "+") + "\(abs(exponent))"
    }
  }

  private func zeros(_ count: Int) -> String { String(repeating: "0", count: count) }
}
