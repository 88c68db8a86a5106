internal import DatCoding
internal import DatDNS
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import Saga

extension FuzzTarget {
  static func varint(_ bytes: [UInt8]) {
    guard case .value(let value, let length) = bytes.withUnsafeBytes({ Varint.read($0) }) else {
      return
    }
    hold(length <= min(bytes.count, Varint.maximumLength), "a varint is longer than its bytes")
    var written: [UInt8] = []
    Varint.write(value, to: &written)
    hold(written.count == Varint.length(value), "a varint's length is not what it takes")
    hold(written.count <= length, "the shortest form is longer than another")
    hold(
      written.withUnsafeBytes { Varint.read($0) } == .value(value, length: written.count),
      "a written varint reads differently")
    hold(Hex.decode(Hex.encode(bytes)) == bytes, "hex changes bytes")
  }

  static func rle(_ bytes: [UInt8]) {
    let limit = 1 << 17
    guard let runs = try? BitfieldRLE.Runs(bytes, limit: limit) else {
      hold((try? BitfieldRLE.decode(bytes, limit: limit)) == nil, "runs and decoding disagree")
      return
    }
    var count = 0
    for run in runs {
      hold(run.offset == count, "a gap between runs")
      count += run.count
    }
    hold(count == runs.decodedCount && count <= limit, "runs cover more than was counted")
    guard let decoded = try? BitfieldRLE.decode(bytes, limit: limit) else {
      return hold(false, "what has runs can't be decoded")
    }
    let encoded = BitfieldRLE.encode(decoded)
    guard var again = try? BitfieldRLE.decode(encoded, limit: limit) else {
      return hold(false, "what was encoded can't be decoded")
    }
    again += [UInt8](repeating: 0, count: decoded.count - again.count)
    hold(again == decoded, "encoding changes a bitfield")
  }

  static func dns(_ bytes: [UInt8]) {
    guard let message = DNSMessage(decoding: bytes), let again = message.encoded() else { return }
    hold(DNSMessage(decoding: again) == message, "a packet is not the same once written")
  }

  static func message(_ bytes: [UInt8]) {
    guard let type = bytes.first.flatMap({ MessageType(rawValue: $0 & 15) }) else { return }
    let decoder = MessageDecoder()
    let body = Array(bytes.dropFirst())
    body.withUnsafeBytes { body in
      switch type {
      case .feed: _ = decoder.feed(body)
      case .handshake: _ = decoder.handshake(body)
      default:
        guard let message = decoder.message(type, body) else { return }
        let again = encoded(message).withUnsafeBytes { decoder.message(type, $0) }
        hold(again == message, "\(message) is not the same once encoded: \(again as Any)")
      }
    }
    hold(decoder.largestReservation < 16 << 20, "a message reserved too much")
  }

  /// Returns the body of a message as this side sends it.
  private static func encoded(_ message: HypercoreProtocol.Message) -> [UInt8] {
    var output = OutputBuffer()
    let encoder = MessageEncoder(channel: 0)
    let fits: Bool
    switch message {
    case .info(let uploading, let downloading):
      fits = encoder.info(uploading: uploading, downloading: downloading, to: &output)
    case .have(let start, let length, let bitfield, let ack):
      fits = encoder.have(start: start, length: length, bitfield: bitfield, ack: ack, to: &output)
    case .unhave(let start, let length):
      fits = encoder.unhave(start: start, length: length, to: &output)
    case .want(let start, let length):
      fits = encoder.want(start: start, length: length, to: &output)
    case .unwant(let start, let length):
      fits = encoder.unwant(start: start, length: length, to: &output)
    case .request(let request):
      fits = encoder.request(
        index: request.index, bytes: request.bytes, hash: request.hash, nodes: request.nodes,
        to: &output)
    case .cancel(let index, let seek, let hash):
      fits = encoder.cancel(index: index, bytes: seek, hash: hash, to: &output)
    case .data(let data):
      if let value = data.value {
        fits = value.withUnsafeBytes {
          encoder.data(
            index: data.index, value: $0, nodes: data.nodes, signature: data.signature, to: &output)
        }
      } else {
        fits = encoder.data(
          index: data.index, value: nil, nodes: data.nodes, signature: data.signature, to: &output)
      }
    }
    hold(fits, "a message that came in a frame fits in none")
    let frame = output.take { _ in }
    guard case .value(_, let length) = frame.withUnsafeBytes({ Varint.read($0) }) else {
      fatalError("a frame without a length")
    }
    return Array(frame.dropFirst(length + 1))
  }

  static func userData(_ bytes: [UInt8]) {
    guard let data = UserData(bytes: bytes) else { return }
    hold(data.username.utf8.count <= 3 * 1024, "a long name")
    hold(UserData(bytes: data.bytes) == data, "user data is not the same once written")
  }

  static func messageJSON(_ bytes: [UInt8]) {
    guard let content = MessageContent(value: bytes) else { return }
    hold(content.text.utf8.count <= 4 * MessageContent.textLimit, "a long text")
    let again = MessageContent(value: content.value(key: "messages/1"))
    // A text that was cut is cut again.
    if content.text.utf8.count < MessageContent.textLimit {
      hold(again == content, "a message is not the same once written")
    }
  }

  static func commandJSON(_ bytes: [UInt8]) {
    if let compact = try? JSONText.compact(bytes) {
      hold(compact.utf8.count <= 6 * bytes.count + 32, "compact JSON is longer")
      hold((try? JSONText.compact(Array(compact.utf8))) == compact, "compact JSON is not final")
      let printed = JSONText.printable(compact)
      hold((try? JSONText.compact(Array(printed.utf8))) == compact, "printed JSON is another")
      hold(!printed.unicodeScalars.contains(where: ForeignText.isHidden), "printed JSON hides text")
    }
    let lines = TextLines.all(bytes)
    hold(lines.reduce(0) { $0 + $1.count } <= bytes.count, "lines have more than the text")
    let shown = ForeignText(bytes: bytes).line(limit: 100)
    hold(
      !shown.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f }, "a control is shown")
  }
}
