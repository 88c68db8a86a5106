/// Random text that can't be guessed, and its comparison.
enum Secret {
  /// Returns this many random bytes of the system, as letters, digits, `-` and `_`.
  static func random(bytes count: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    // Six bits a character.
    return String((0..<(count * 8 + 5) / 6).map { _ in alphabet[Int(generator.next() & 63)] })
  }

  /// Returns whether two texts are equal, in a time that depends only on the length of `given`.
  static func matches(_ given: String, _ secret: String) -> Bool {
    let wanted = Array(secret.utf8)
    var difference = given.utf8.count ^ wanted.count
    for (index, byte) in given.utf8.enumerated() {
      difference |= Int(byte ^ wanted[index % max(wanted.count, 1)])
    }
    return difference == 0 && !wanted.isEmpty
  }
}
