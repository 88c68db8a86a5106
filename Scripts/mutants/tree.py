"""The copy of the package in which faults are put in, and its build."""

import filecmp
import os
import re
import shutil
import subprocess

import support
from sites import KINDS, SHARES, find

COPIED = ("Package.swift", "Package.resolved", "Sources", "Tests", "Examples", "Interop", "Fixtures", "Documentation",
          "README.md", "Scripts", "Makefile", "Packaging")
SUPPORT = "Mutants.swift"
# A debug build all the same: tests see what is internal, and assertions hold.
OPTIMIZED = ["-Xswiftc", "-O", "-Xswiftc", "-assert-config", "-Xswiftc", "Debug", "-Xcc", "-O2"]


def candidates(root, module):
    folder = os.path.join(root, "Sources", module)
    sites = []
    for path, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(".swift"):
                file = os.path.relpath(os.path.join(path, name), root)
                with open(os.path.join(root, file), encoding="utf-8") as opened:
                    sites += find(file, opened.read())
    return sites


def choose(sites, count, seed, dropped):
    """`count` places, some of each kind, at most one a line."""
    queues = {
        kind: sorted((s for s in sites if s.kind == kind and s.key not in dropped),
                     key=lambda s: s.rank(seed), reverse=True)
        for kind in KINDS
    }
    chosen, lines = [], set()
    while len(chosen) < count and any(queues.values()):
        for kind in KINDS:
            for _ in range(SHARES[kind]):
                while queues[kind]:
                    site = queues[kind].pop()
                    last = site.line + site.before.count("\n")
                    span = {(site.file, line) for line in range(site.line, last + 1)}
                    if not span & lines:
                        lines |= span
                        chosen.append(site)
                        break
                if len(chosen) == count:
                    break
            if len(chosen) == count:
                break
    for number, site in enumerate(sorted(chosen, key=lambda s: (s.file, s.start)), 1):
        site.number = number
    return sorted(chosen, key=lambda s: s.number)


def at(sites, lines, dropped):
    """The smallest places of these lines, as many as are beside each other."""
    chosen = []
    for site in sorted(sites, key=lambda s: (s.end - s.start, s.file, s.start)):
        if f"{site.file.removeprefix('Sources/')}:{site.line}" not in lines or site.key in dropped:
            continue
        if all(s.file != site.file or s.end <= site.start or site.end <= s.start for s in chosen):
            chosen.append(site)
    chosen.sort(key=lambda s: (s.file, s.start))
    for number, site in enumerate(chosen, 1):
        site.number = number
    return chosen


def put(path, text):
    """Writes a file unless it says that already: an unchanged one is not compiled again."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as opened:
            if opened.read() == text:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as opened:
        opened.write(text)


class Tree:
    def __init__(self, root, path, swift, optimized):
        self.root, self.path, self.swift = root, path, swift
        self.flags = OPTIMIZED if optimized else []

    def copy(self, changed):
        """Brings the tree up to the repository, but for the files in `changed`."""
        wanted = set(changed)
        for top in COPIED:
            source = os.path.join(self.root, top)
            if os.path.isfile(source):
                self.copy_file(top, wanted)
            for path, folders, names in os.walk(source):
                folders[:] = [f for f in folders if f not in (".build", "__pycache__", "node_modules")]
                for name in names:
                    self.copy_file(os.path.relpath(os.path.join(path, name), self.root), wanted)
            self.remove_what_is_gone(top, wanted)
        package = os.path.join(self.path, "Package.swift")
        with open(os.path.join(self.root, "Package.swift"), encoding="utf-8") as opened:
            # A changed place may leave a warning.
            put(package, re.sub(r"\.treatAllWarnings\(as: \.error\),?", "", opened.read()))

    def copy_file(self, name, changed):
        source, target = os.path.join(self.root, name), os.path.join(self.path, name)
        if name in changed or name == "Package.swift" or not os.path.isfile(source):
            return
        if os.path.exists(target) and filecmp.cmp(source, target, shallow=False):
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)

    def remove_what_is_gone(self, top, changed):
        for path, _, names in os.walk(os.path.join(self.path, top)):
            for name in names:
                file = os.path.relpath(os.path.join(path, name), self.path)
                if file not in changed and not os.path.exists(os.path.join(self.root, file)):
                    os.remove(os.path.join(path, name))

    def change(self, chosen):
        """Puts in the faults: by module, its places."""
        files = {}
        for module, sites in chosen.items():
            for site in sites:
                files.setdefault(site.file, []).append(site)
            files.setdefault(f"Sources/{module}/{SUPPORT}", [])
        self.copy(files)
        for module, sites in chosen.items():
            put(os.path.join(self.path, "Sources", module, SUPPORT), support.source(module, sites))
        for file, sites in files.items():
            if file.endswith("/" + SUPPORT):
                continue
            with open(os.path.join(self.root, file), encoding="utf-8") as opened:
                text = opened.read()
            for site in sorted(sites, key=lambda s: s.start, reverse=True):
                text = text[:site.start] + site.make(site.number) + text[site.end:]
            put(os.path.join(self.path, file), text)

    def build(self, modules):
        """Builds the suites. Returns the places of errors, (file, line); none if it succeeded."""
        environment = dict(os.environ, DAT_SUITES=" ".join(f"{module}Tests" for module in modules))
        done = subprocess.run(
            [self.swift, "build", *self.flags, "--product", "dat-swiftPackageTests"], cwd=self.path,
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode == 0:
            return []
        errors = set()
        for match in re.finditer(r"^(/[^:\n]+):(\d+):\d+: error:", done.stdout, re.M):
            errors.add((os.path.relpath(match.group(1), self.path), int(match.group(2))))
        if not errors:
            raise SystemExit("The build failed:\n" + done.stdout[-4000:])
        return sorted(errors)


def blamed(errors, chosen):
    """The places that the errors are about."""
    found = set()
    for file, line in errors:
        module = file.split("/")[1] if file.startswith("Sources/") else ""
        sites = chosen.get(module, [])
        here = [s for s in sites if s.file == file]
        near = [s for s in here if s.line <= line <= s.line + s.before.count("\n")]
        # An expression of several lines is reported at its start.
        near = near or [s for s in here if abs(s.line - line) <= 12]
        if file.endswith("/" + SUPPORT) or not near:
            near = here
        found |= {s.key for s in near}
    return found
