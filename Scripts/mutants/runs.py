"""Runs suites with a fault, until the first test fails."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time

# What Swift's testing library prints of a test that failed.
FAILURE = re.compile(r"^(?:\x1b\[[0-9;]*m)*✘")


class Runs:
    def __init__(self, tree):
        build = os.path.join(tree, ".build", "debug")
        names = [n for n in os.listdir(build) if n.endswith("PackageTests.xctest")]
        self.binary = os.path.join(build, names[0])
        self.tree = tree

    def suites(self, module):
        """The names of a module's suites."""
        listed = subprocess.run(
            [self.binary, "--testing-library", "swift-testing", "--list-tests"], cwd=self.tree,
            stdout=subprocess.PIPE, text=True, check=True).stdout
        found = {line.split("/")[0] for line in listed.splitlines() if line.startswith(module + "Tests.")}
        return sorted(found)

    def run(self, suite, fault="", trace=None, limit=600):
        """Runs one suite with a fault, `module:number`.

        Returns what was noticed (empty if nothing was), and the seconds that it took.
        """
        environment = dict(os.environ, SWIFT_BACKTRACE="enable=no", DAT_MUTANT=fault)
        if trace:
            environment["DAT_MUTANT_TRACE"] = trace
        start = time.monotonic()
        pattern = "^" + re.sub(r"([][\\.*^$+?(){}|/])", r"\\\1", suite) + "/"
        process = subprocess.Popen(
            [self.binary, "--testing-library", "swift-testing", "--no-parallel", "--filter", pattern],
            cwd=self.tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True)
        late = threading.Event()

        def end():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

        def give_up():
            late.set()
            end()

        timer = threading.Timer(limit, give_up)
        timer.start()
        failure, last = "", ""
        for line in process.stdout:
            last = line.strip() or last
            if FAILURE.match(line):
                failure = line.strip()
                break
        timer.cancel()
        if failure or late.is_set():
            end()
        process.stdout.close()
        status = process.wait()
        end()  # What the tests started.
        seconds = time.monotonic() - start
        if failure:
            return failure, seconds
        if late.is_set():
            return "took too long", seconds
        if " with 0 tests" in last:
            raise SystemExit(f"{suite}: nothing ran")
        if status != 0:
            return f"ended with {status}: {last}", seconds
        return "", seconds

    def coverage(self, module, suites):
        """By suite: its seconds, and the numbers of the module's places that it reaches. All have to pass."""
        found = {}
        for suite in suites:
            with tempfile.TemporaryDirectory() as folder:
                trace = os.path.join(folder, "trace")
                noticed, seconds = self.run(suite, trace=trace)
                if noticed:  # Once more: a busy machine fails a test now and then.
                    noticed, seconds = self.run(suite, trace=trace)
                if noticed:
                    raise SystemExit(f"{suite} fails without a fault: {noticed}")
                reached = set()
                if os.path.exists(trace):
                    with open(trace, encoding="ascii") as opened:
                        names = [line.strip().partition(":") for line in opened]
                    reached = {int(number) for name, _, number in names if name == module and number.isdigit()}
                found[suite] = (seconds, reached)
                print(f"  {suite}: {seconds:.1f} s, {len(reached)} places", flush=True)
        return found

    def notices(self, module, fault, coverage):
        """The first suite that notices a fault of a module, and how; nil if none does. The quickest come first."""
        covering = sorted((seconds, suite) for suite, (seconds, reached) in coverage.items() if fault in reached)
        for seconds, suite in covering:
            noticed, _ = self.run(suite, f"{module}:{fault}", limit=60 + 10 * seconds)
            if noticed:
                return suite, noticed
        return None
