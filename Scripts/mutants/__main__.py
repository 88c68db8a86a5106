"""Puts small faults into modules, one at a time, and lists those that no test of the module notices.

    python3 Scripts/mutants [--modules "Hypercore Saga"] [--count 60] [--seed 1] [--again] [--only "3 17"]
                             [--at "Saga/Peers/Roster.swift:12 …"] [--optimize]

All faults are built in at once, into a copy of the package; a variable of the environment chooses one. Each is
tried with the module's own suites that reach its place, until a test fails, the process crashes, or it takes too
long. Exits with 1 if fewer than nine in ten of a module are noticed.
"""

import argparse
import json
import os
import sys
import time

import tree as trees
from runs import Runs

MODULES = "RandomAccessStorage HypercoreProtocol Hypercore HyperDB Saga DatSwarm DatWeb"


def options():
    parser = argparse.ArgumentParser(prog="mutants")
    parser.add_argument("--modules", default=os.environ.get("MODULE") or MODULES)
    parser.add_argument("--count", type=int, default=int(os.environ.get("N") or 60))
    parser.add_argument("--seed", default=os.environ.get("SEED") or "1")
    parser.add_argument("--tree", help="the copy's folder; kept, so that the next build is short")
    parser.add_argument("--again", action="store_true", help="only those that survived the last time")
    parser.add_argument("--only", default="", help="only the faults of these numbers")
    parser.add_argument("--at", default="", help="every fault of these lines, file:line below Sources, and no others")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--optimize", action="store_true", default=bool(os.environ.get("OPTIMIZE")),
                        help="an optimized build that keeps assertions: it takes longer, each run far less")
    return parser.parse_args()


def build(tree, root, modules, count, seed, dropped, at):
    """Changes and builds until it compiles. Returns the places by module."""
    found = {module: trees.candidates(root, module) for module in modules}
    while True:
        chosen = {
            m: trees.at(found[m], at, dropped) if at else trees.choose(found[m], count, seed, dropped)
            for m in modules
        }
        tree.change(chosen)
        errors = tree.build(modules)
        if not errors:
            return chosen
        blamed = trees.blamed(errors, chosen)
        if not blamed:
            raise SystemExit("The copy doesn't compile, and no change is to blame: "
                             + ", ".join(f"{file}:{line}" for file, line in errors))
        print(f"{len(blamed)} places don't compile with their change; others are taken.", flush=True)
        dropped |= blamed


def report(site):
    return (f"  {site.number:3} {site.file}:{site.line} {site.kind}\n"
            f"      {site.shown}\n      {' '.join(site.before.split())}  ->  {site.after}")


def try_module(runs, module, sites, state, chosen):
    print(f"\n{module}: {len(sites)} faults. Its suites without a fault:", flush=True)
    coverage = runs.coverage(module, runs.suites(module))
    results = state.setdefault(module, {})
    for site in sites:
        if chosen and site.number not in chosen[module]:
            continue
        start = time.monotonic()
        noticed = runs.notices(module, site.number, coverage)
        results[site.key] = list(noticed) if noticed else None
        by = f"{noticed[0]}: {noticed[1][:110]}" if noticed else "SURVIVED"
        print(f"  {site.number:3} {site.file}:{site.line} {time.monotonic() - start:.0f} s {by}", flush=True)
    survivors = [s for s in sites if results.get(s.key, 0) is None]
    count = len(sites) - len(survivors)
    reached = set().union(*(reached for _, reached in coverage.values()))
    print(f"\n{module}: {count} of {len(sites)} noticed. Survivors:")
    for site in survivors:
        print(report(site) + ("" if site.number in reached else "\n      no test gets there"))
    return count * 10 >= len(sites) * 9


def main():
    args = options()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    folder = os.path.join(root, "Artifacts", "mutants")
    os.makedirs(folder, exist_ok=True)
    path = args.tree or os.path.join(folder, "tree")
    memory = os.path.join(folder, f"seed-{args.seed}.json")
    kept = {"dropped": [], "results": {}}
    if os.path.exists(memory):
        with open(memory, encoding="utf-8") as opened:
            kept = json.load(opened)
    modules, dropped = args.modules.split(), set(kept["dropped"])

    def keep():
        kept["dropped"] = sorted(dropped)
        with open(memory, "w", encoding="utf-8") as written:
            json.dump(kept, written, indent=1, ensure_ascii=False)

    tree = trees.Tree(root, path, os.environ.get("SWIFT") or "swift", args.optimize)
    try:
        chosen = build(tree, root, modules, args.count, args.seed, dropped, args.at.split())
    finally:
        keep()
    if args.build_only:
        return 0
    runs, isGood = Runs(path), True
    for module in modules:
        wanted = None
        if args.only:
            wanted = {module: {int(n) for n in args.only.split()}}
        elif args.again:
            results = kept["results"].get(module, {})
            wanted = {module: {s.number for s in chosen[module] if results.get(s.key, 0) is None}}
        isGood &= try_module(runs, module, chosen[module], kept["results"], wanted)
        keep()
    return 0 if isGood else 1


sys.exit(main())
