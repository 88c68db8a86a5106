/// A DNS message, in the subset that peers of dns-discovery speak (RFC 1035): questions, and TXT,
/// SRV and A records. Other records keep their data as bytes.
///
/// Written without name compression, as in the reference; read with it.
package struct DNSMessage: Hashable, Sendable {
  package var id: UInt16 = 0
  package var flags: UInt16 = 0
  package var questions: [DNSQuestion] = []
  package var answers: [DNSRecord] = []
  package var authorities: [DNSRecord] = []
  package var additionals: [DNSRecord] = []

  package init(
    id: UInt16 = 0, flags: UInt16 = 0, questions: [DNSQuestion] = [], answers: [DNSRecord] = [],
    additionals: [DNSRecord] = []
  ) {
    self.id = id
    self.flags = flags
    self.questions = questions
    self.answers = answers
    self.additionals = additionals
  }

  /// The flags of a multicast answer: response, authoritative.
  package static let multicastResponse: UInt16 = 0x8400
  /// The flag of a response.
  package static let responseBit: UInt16 = 0x8000
  /// The flag that asks a server to recurse, which means nothing here; dns-socket sets it.
  package static let recursionDesired: UInt16 = 0x0100

  package var isResponse: Bool { flags & Self.responseBit != 0 }
}

/// A name, as a list of labels.
package struct DNSName: Hashable, Sendable, CustomStringConvertible {
  /// The labels, each of 1 to 63 bytes.
  package var labels: [[UInt8]]

  package init(labels: [[UInt8]]) { self.labels = labels }

  /// Splits a name at its dots.
  package init(_ text: some StringProtocol) {
    labels = text.split(separator: ".").map { Array($0.utf8) }
  }

  package var description: String {
    labels.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".")
  }
}

package struct DNSQuestion: Hashable, Sendable {
  package var name: DNSName
  package var type: UInt16
  package var classCode: UInt16

  package init(_ name: DNSName, type: UInt16, classCode: UInt16 = DNSRecord.internet) {
    self.name = name
    self.type = type
    self.classCode = classCode
  }
}

package struct DNSRecord: Hashable, Sendable {
  package enum Contents: Hashable, Sendable {
    /// Strings of at most 255 bytes.
    case text([[UInt8]])
    case service(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
    /// Four bytes.
    case address([UInt8])
    case other(type: UInt16, [UInt8])
  }

  package var name: DNSName
  package var classCode: UInt16
  package var ttl: UInt32
  package var contents: Contents

  package init(
    _ name: DNSName, _ contents: Contents, ttl: UInt32 = 0, classCode: UInt16 = DNSRecord.internet
  ) {
    self.name = name
    self.classCode = classCode
    self.ttl = ttl
    self.contents = contents
  }

  package static let internet: UInt16 = 1
  package static let addressType: UInt16 = 1
  package static let textType: UInt16 = 16
  package static let serviceType: UInt16 = 33

  package var type: UInt16 {
    switch contents {
    case .text: Self.textType
    case .service: Self.serviceType
    case .address: Self.addressType
    case .other(let type, _): type
    }
  }
}
