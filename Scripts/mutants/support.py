"""The Swift that is added to a module: each changed place asks it for its value."""

from sites import FLIPS, name_of

HEAD = """// Written by Scripts/mutants.
#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The number of the fault that this process has in this module, as in `MODULE:7`; 0 for none.
private let mutantChosen: Int = {
  guard let name = getenv("DAT_MUTANT").map({ String(cString: $0) }), name.hasPrefix("MODULE:")
  else { return 0 }
  return Int(name.dropFirst("MODULE:".count)) ?? 0
}()
/// A file for the names of the places that were reached.
private let mutantTrace: Int32 = getenv("DAT_MUTANT_TRACE").map {
  open($0, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
} ?? -1
nonisolated(unsafe) private let mutantSeen: UnsafeMutablePointer<Bool> = {
  let seen = UnsafeMutablePointer<Bool>.allocate(capacity: COUNT)
  seen.initialize(repeating: false, count: COUNT)
  return seen
}()

@inline(never)
func isMutant(_ number: Int) -> Bool {
  if mutantTrace >= 0, !mutantSeen[number] {
    mutantSeen[number] = true
    let line = Array("MODULE:\\(number)\\n".utf8)
    _ = line.withUnsafeBytes { write(mutantTrace, $0.baseAddress, $0.count) }
  }
  return number == mutantChosen
}

func mutantCondition(_ number: Int, _ value: Bool) -> Bool { isMutant(number) ? !value : value }
func mutantNumber<T: BinaryInteger>(_ number: Int, _ value: T) -> T {
  isMutant(number) ? value + 1 : value
}
func mutantResult(_ number: Int, _ value: Bool) -> Bool { isMutant(number) ? !value : value }
func mutantResult<T: FixedWidthInteger>(_ number: Int, _ value: T) -> T {
  isMutant(number) ? value &+ 1 : value
}
func mutantResult<T>(_ number: Int, _ value: T?) -> T? { isMutant(number) ? nil : value }
func mutantResult<T>(_ number: Int, _ value: [T]) -> [T] { isMutant(number) ? [] : value }
"""


def source(module, sites):
    """The file for these places of a module."""
    count = max((site.number for site in sites), default=0) + 1
    out = [HEAD.replace("COUNT", str(count)).replace("MODULE", module)]
    for site in sites:
        number, before, after = site.number, site.before, site.after
        name = name_of(number)
        if site.kind == "comparison":
            kind = "Equatable" if len(FLIPS[before]) == 1 else "Comparable"
            out.append(
                f"infix operator {name}: ComparisonPrecedence\n"
                f"func {name} <T: {kind}>(a: T, b: T) -> Bool {{\n"
                f"  isMutant({number}) ? a {after} b : a {before} b\n}}\n")
            if kind == "Comparable":
                out.append(
                    f"func {name} <T: BinaryInteger, U: BinaryInteger>(a: T, b: U) -> Bool {{\n"
                    f"  isMutant({number}) ? a {after} b : a {before} b\n}}\n")
        elif site.kind == "logic":
            group = "LogicalConjunctionPrecedence" if before == "&&" else "LogicalDisjunctionPrecedence"
            out.append(
                f"infix operator {name}: {group}\n"
                f"func {name} (a: Bool, b: @autoclosure () throws -> Bool) rethrows -> Bool {{\n"
                f"  isMutant({number}) ? try a {after} b() : try a {before} b()\n}}\n")
        elif before in "+-":
            out.append(
                f"infix operator {name}: AdditionPrecedence\n"
                f"func {name} <T: AdditiveArithmetic>(a: T, b: T) -> T {{\n"
                f"  isMutant({number}) ? a {after} b : a {before} b\n}}\n")
        elif before in ("min", "max"):
            out.append(
                f"func mutant_{before}_{number}<T: Comparable>(_ a: T, _ b: T) -> T {{\n"
                f"  isMutant({number}) ? {after}(a, b) : {before}(a, b)\n}}\n")
    return "\n".join(out)
