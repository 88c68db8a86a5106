internal import NIOCore
internal import NIOPosix

/// The options that all sockets have in common.
enum TCPOptions {
  /// The largest read: a burst of blocks in one turn. The size adapts to what arrives. A connection that is
  /// not being read holds three of them at most, so a hundred hold 38 MiB.
  static let maximumRead = 128 << 10
  /// The number of reads in a row: NIO's four would all be held by a connection that is not being read.
  static let readsInRow: UInt = 1
  /// The queued output above which the stream is no longer asked for more, and below which it is again.
  static let writeMarks = ChannelOptions.Types.WriteBufferWaterMark(
    low: 64 * 1024, high: 256 * 1024)
  /// The time that one write may take, within a factor of two.
  static let stallLimit = TimeAmount.seconds(30)

  static var group: MultiThreadedEventLoopGroup { .singleton }

  static func apply(to bootstrap: ClientBootstrap) -> ClientBootstrap {
    bootstrap
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.recvAllocator, value: allocator)
      .channelOption(.maxMessagesPerRead, value: readsInRow)
      .channelOption(.writeBufferWaterMark, value: writeMarks)
  }

  static func apply(to bootstrap: ServerBootstrap) -> ServerBootstrap {
    bootstrap
      .serverChannelOption(.backlog, value: 128)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.recvAllocator, value: allocator)
      .childChannelOption(.maxMessagesPerRead, value: readsInRow)
      .childChannelOption(.writeBufferWaterMark, value: writeMarks)
  }

  /// Makes a channel usable by tasks. Call it while the channel is set up: the end of the remote's output may
  /// arrive before any task reads, and would be lost without a handler.
  static func wrap(_ channel: any Channel) throws -> PeerSocket.Wrapped {
    // One buffer waits and one is being taken: with the largest read that is 256 KiB at most.
    try PeerSocket.Wrapped(
      wrappingChannelSynchronously: channel,
      configuration: .init(
        backPressureStrategy: .init(lowWatermark: 1, highWatermark: 1),
        isOutboundHalfClosureEnabled: true))
  }

  /// NIO keeps a channel's first buffer for as long as the channel lasts; larger ones are freed after use.
  private static var allocator: AdaptiveRecvByteBufferAllocator {
    AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 4096, maximum: maximumRead)
  }
}
