internal import DatCoding
package import NIOCore

/// The forms of one message at the two kinds of hubs.
package enum HubMessage {
  /// The bounds within which a message is read.
  private static let bounds = JSONReader.Bounds(bytes: 64 << 10, depth: 32)

  /// Returns a message as an event of an event stream: the body as it was posted, line by line.
  ///
  /// Source: signalhub, which writes one line; a body with line ends would begin other fields there.
  package static func event(_ body: ByteBuffer) -> ByteBuffer {
    var event = ByteBuffer()
    event.reserveCapacity(body.readableBytes + 16)
    var line: [UInt8] = []
    func end() {
      event.writeStaticString("data: ")
      event.writeBytes(line)
      event.writeStaticString("\n")
      line = []
    }
    for byte in body.readableBytesView where byte != UInt8(ascii: "\r") {
      if byte == UInt8(ascii: "\n") { end() } else { line.append(byte) }
    }
    end()
    event.writeStaticString("\n")
    return event
  }

  /// Returns a message as a frame of a WebSocket; nil if the body is not JSON.
  ///
  /// Source: signalhubws.
  package static func frame(_ application: [UInt8], _ channel: [UInt8], _ body: ByteBuffer)
    -> ByteBuffer?
  {
    let bytes = Array(body.readableBytesView)
    guard (try? JSONReader.check(bytes, within: bounds)) != nil else { return nil }
    return frame(application, channel, bytes)
  }

  /// Returns a frame for a message that is JSON.
  static func frame(_ application: [UInt8], _ channel: [UInt8], _ message: [UInt8]) -> ByteBuffer {
    var text = Array(#"{"app":"#.utf8)
    JSONWriter.append(String(decoding: application, as: UTF8.self), to: &text)
    text.append(contentsOf: #","channel":"#.utf8)
    JSONWriter.append(String(decoding: channel, as: UTF8.self), to: &text)
    text.append(contentsOf: #","message":"#.utf8)
    text.append(contentsOf: message)
    text.append(UInt8(ascii: "}"))
    return ByteBuffer(bytes: text)
  }

  /// Returns the channel and the message of a frame; nil if it is not a hub's frame.
  package static func parts(ofFrame frame: ByteBuffer) -> (channel: [UInt8], message: ByteBuffer)? {
    let bytes = Array(frame.readableBytesView)
    var channel: [UInt8]?
    var message: Range<Int>?
    do {
      try JSONReader.read(bytes, within: bounds) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          switch name {
          case "channel": channel = try reader.readStringIfPresent().map { Array($0.utf8) }
          case "message": message = try reader.skip()
          default: break
          }
        }
      }
    } catch {
      return nil
    }
    guard let channel, let message else { return nil }
    return (channel, ByteBuffer(bytes: bytes[message]))
  }
}
