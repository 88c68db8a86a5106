public import Foundation
public import Logging

extension SignalServer {
  /// The ways in which a hub is run, and the bounds of each peer that uses it.
  public struct Options: Sendable {
    /// The address to listen on: a number, or `localhost`.
    public var host = "127.0.0.1"
    /// The port; 0 for any that is free. The WebSocket hubs of 2018 had 3300.
    public var port = 3300
    /// A folder with a built web app, served beside the hub; nil for none.
    public var pageFolder: URL?
    /// A certificate chain and its private key as PEM files, for https and wss; nil for http and ws.
    public var certificate: (chain: String, key: String)?
    /// The numeric address of a proxy whose `X-Forwarded-For` is trusted; nil for none.
    public var trustedProxy: String?
    /// The bounds.
    public var limits = Limits()
    /// The time after which a silent event stream gives a sign of life. Source: signalhub.
    public var heartbeat = Duration.seconds(30)
    /// Receives the hub's log messages.
    public var logger = Logger(label: "dat.signal", factory: { _ in SwiftLogNoOpLogHandler() })

    /// The defaults.
    public init() {}
  }

  /// The load that a hub bears.
  public struct Limits: Hashable, Sendable {
    /// Connections in all; each costs about 20 KB.
    public var connections = 4096
    /// Connections of one address, or of one /64 of IPv6. A household needs three for each browser.
    public var connectionsByAddress = 64
    /// The same for this machine itself, which runs proxies and tests.
    public var connectionsByLoopback = 4096
    /// Subscribers of one application. Each message goes to all of them.
    public var subscribersByApplication = 512
    /// Applications that one address takes part in at a time.
    public var applicationsByAddress = 64
    /// Messages of one address in a second. Two browsers that connect exchange about twenty. Each started 8 KiB
    /// of one counts.
    public var messagesPerSecond = 50
    /// Messages of one address that may come at once.
    public var burst = 400
    /// The bytes of one message. Source: signalhub.
    public var messageBytes = 64 << 10
    /// The bytes of an application's or a channel's name.
    public var nameBytes = 256
    /// Channels that one event stream subscribes to.
    public var channels = 16
    /// Bytes that wait for one slow subscriber; beyond them it is disconnected, and has to reconnect.
    public var waitingBytes = 1 << 20

    /// The defaults.
    public init() {}
  }
}
