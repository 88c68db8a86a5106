/// The version of the command and its packages.
enum Version {
  /// As a tag and the change log have it. `make check-version` compares them.
  static let number = "0.1.0"
}
