/// A transform of nodes on their way out of a read: each is mapped, then those of a key are reduced
/// to one.
///
/// It is a default of the database, ``HyperDB/Options/transform``, and an option of each call. History uses
/// neither function, and the history of a key only the first.
///
/// Stands for hyperdb's options `map` and `reduce`.
public struct NodeTransform: Sendable {
  /// Replaces a node; if it throws, the read does.
  public var map: (@Sendable (DatabaseNode) throws -> DatabaseNode)?
  /// Makes one node of two of the same key, from the left.
  public var reduce: (@Sendable (DatabaseNode, DatabaseNode) throws -> DatabaseNode)?

  /// Makes a transform of two functions: `map` sees every node, `reduce` makes one of two.
  public init(
    map: (@Sendable (DatabaseNode) throws -> DatabaseNode)? = nil,
    reduce: (@Sendable (DatabaseNode, DatabaseNode) throws -> DatabaseNode)? = nil
  ) {
    self.map = map
    self.reduce = reduce
  }

  /// Every node as it is.
  public static let unchanged = NodeTransform()

  /// Any one of the nodes in conflict: `reduce: (a, b) => a`.
  public static let firstNode = NodeTransform(reduce: { first, _ in first })

  func callAsFunction(_ nodes: [DatabaseNode]) throws -> [DatabaseNode] {
    var nodes = nodes
    if let map { nodes = try nodes.map(map) }
    guard let reduce, nodes.count > 1 else { return nodes }
    return [try nodes.dropFirst().reduce(nodes[0], reduce)]
  }

  /// The transform without reducing.
  var mapping: NodeTransform { NodeTransform(map: map) }
}
