/// What a number is, whatever way it is written: its digits without zeros at either end, and the power of
/// ten of the last one.
struct DecimalDigits: Equatable {
  private var isNegative = false
  private var digits: [UInt8] = []
  private var power = 0

  /// Takes a number of JSON, as it is written.
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
        // An exponent beyond `Int` belongs to zero, or to a number that is infinite or rounded away.
        power = Int(String(decoding: rest, as: UTF8.self)) ?? .max / 2
        rest = []
      }
    }
    // Of what was read, and so of a size that stays far from the ends of `Int`.
    power = min(max(power, .min / 2), .max / 2) - fraction
    while digits.last == 0x30 {
      digits.removeLast()
      power += 1
    }
    digits = Array(digits.drop { $0 == 0x30 })
    if digits.isEmpty { (power, isNegative) = (0, false) }
  }

  /// The number as JavaScript's `String(number)` writes these digits.
  ///
  /// Source: ECMA-262, Number::toString.
  var scriptText: String {
    let sign = isNegative ? "-" : ""
    guard !digits.isEmpty else { return "0" }
    let text = String(decoding: digits, as: UTF8.self)
    // How many digits stand before the point.
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
