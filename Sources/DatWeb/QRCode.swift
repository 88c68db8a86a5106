internal import CQRencode

/// A QR code as rows of modules.
struct QRCode: Sendable {
  /// Row by row, `1` for a dark module, without the quiet zone, which is four modules wide.
  let rows: [String]

  /// Encodes a short text at medium error correction; nil if it does not fit.
  init?(_ text: String) {
    guard let code = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1) else { return nil }
    defer { QRcode_free(code) }
    let width = Int(code.pointee.width)
    guard let modules = code.pointee.data else { return nil }
    // The lowest bit of a module's byte is its colour; the others tell its purpose.
    rows = (0..<width).map { row in
      String((0..<width).map { modules[row * width + $0] & 1 == 1 ? "1" : "0" as Character })
    }
  }
}
