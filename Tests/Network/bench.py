"""Connections with browsers, measured: connect time, rates, a message's way, idle ones. See `make bench-browser`.

    python3 Tests/Network/bench.py [part of a row's name …]

Everything runs on one machine, in a network namespace of its own, each row's sides in processes of their own.
Needs root, iproute2, Chromium, and a release build of Benchmarks and of dat.
"""
import os
import pathlib
import secrets
import statistics
import sys
import tempfile
import time

from lab import run
from peers import CHROMIUM, Program, event

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAT = os.environ.get("DAT", str(ROOT / ".build/release/dat"))
BENCH = os.environ.get("DAT_BENCH", str(ROOT / "Benchmarks/.build/release/dat-bench"))
HUB = "ws://10.97.0.1:3300"
BYTES = int(os.environ.get("BYTES", 50_000_000))
RUNS = int(os.environ.get("RUNS", 3))


class Machine:
    """A namespace with an interface beside loopback, without which Chromium looks for no address."""

    def __init__(self, folder):
        self.name, self.folder, self.programs, self.count = f"dat-bench-{os.getpid()}", folder, [], 0

    def __enter__(self):
        run("ip", "netns", "add", self.name)
        for line in ("ip link set lo up", "ip link add va type veth peer name vb", "ip link set va up", "ip link set vb up",
                     "ip addr add 10.97.0.1/24 dev va", "ip route add default via 10.97.0.2"):
            run("ip", "netns", "exec", self.name, *line.split())
        self.start(DAT, "signal", "--json", "--listen", "0.0.0.0:3300").wait(
            lambda line: event(line).get("event") == "listening", "the hub")
        return self

    def start(self, *command):
        program = Program(["ip", "netns", "exec", self.name, *command])
        self.programs.append(program)
        return program

    def native(self, key, mode):
        return Native(self.start(BENCH, "peer", "webrtc", HUB, key, mode, str(BYTES)))

    def page(self, key, mode):
        bridge = self.start(sys.executable, "-u", str(ROOT / "Tests/Browser/bridge.py"), str(ROOT / "Tests/Browser/page"), "9")
        _, line = bridge.wait(lambda line: event(line).get("event") == "serving", "the page's server")
        self.count += 1
        url = (f"http://127.0.0.1:{event(line)['port']}/bench.html?hub={HUB}&app={key}&id={secrets.token_hex(8)}"
               f"&mode={mode}&bytes={BYTES}")
        browser = self.start(CHROMIUM, "--headless", "--no-sandbox", f"--user-data-dir={self.folder}/{self.count}", url)
        bridge.wait(lambda line: event(line).get("event") == "listening", "the page at the hub")
        return Page(bridge, browser)

    def stop(self, *sides):
        for side in sides:
            for program in side.programs:
                program.stop(hard=True)

    def __exit__(self, *_):
        for program in reversed(self.programs):
            program.stop(hard=True)
        run("ip", "netns", "del", self.name, check=False)


class Native:
    def __init__(self, program):
        self.programs = [program]
        program.wait(lambda line: "joined" in event(line), "the native peer")

    def tells(self, field):
        at, line = self.programs[0].wait(lambda line: field in event(line), field, 120)
        return at, event(line)


class Page:
    def __init__(self, bridge, browser):
        self.programs = [bridge, browser]

    def tells(self, kind):
        at, line = self.programs[0].wait(lambda line: event(line).get("event") == kind, kind, 120)
        return at, event(line)


def side(machine, kind, key, mode):
    return (machine.native if kind == "native" else machine.page)(key, mode)


def rate(machine, sender, receiver):
    key = secrets.token_hex(32)
    taker = side(machine, receiver, key, "receive")
    giver = side(machine, sender, key, "send")
    _, told = taker.tells("received")
    machine.stop(giver, taker)
    return BYTES / told["seconds"] / 1e6


def connect(machine, first, second):
    """Milliseconds from the second one's being at the hub to its channel."""
    key = secrets.token_hex(32)
    waiting = side(machine, first, key, "receive")
    time.sleep(1)
    coming = side(machine, second, key, "echo" if second == "native" else "receive")
    if second == "native":
        milliseconds = 1000 * coming.tells("connected")[1]["connected"]
    else:
        end, _ = coming.tells("connected")
        start, _ = coming.tells("listening")
        milliseconds = 1000 * (end - start)
    machine.stop(waiting, coming)
    return milliseconds


def message(machine):
    key = secrets.token_hex(32)
    native = machine.native(key, "echo")
    page = machine.page(key, "echo")
    _, told = page.tells("echoed")
    machine.stop(page, native)
    return told["median"]


def usage(program):
    fields = pathlib.Path(f"/proc/{program.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), resident


def idle(machine, topics=50, period=30):
    """Three peers of 50 feeds each, as a hub lets one address be in no more than 64: 100 connections each."""
    hub, count = "ws://127.0.0.1:3300", 2 * topics
    owner = machine.start(BENCH, "peer", "webrtc-idle", hub, str(topics))
    _, line = owner.wait(lambda line: "keys" in event(line), "the keys")
    others = [machine.start(BENCH, "peer", "webrtc-idle", hub, str(topics), *event(line)["keys"]) for _ in range(2)]
    for program in (owner, *others):
        # The hub bears only so many messages of one address at a time: those that miss theirs try again.
        program.wait(lambda line: event(line).get("open") == count, f"{count} connections", 180)
    # Until attempts that were overtaken have been given up.
    time.sleep(60)
    (worked, _), start = usage(owner), time.monotonic()
    time.sleep(period)
    (after, resident), end = usage(owner), time.monotonic()
    opened = [event(line)["open"] for _, line in owner.lines if "open" in event(line)][-1]
    assert opened == count, f"{opened} connections are left"
    for program in (owner, *others):
        program.stop(hard=True)
    return resident, 100 * (after - worked) / (end - start)


def main(words):
    def wants(name):
        return not words or any(word in name for word in words)

    rows = {}
    with tempfile.TemporaryDirectory() as folder, Machine(folder) as machine:
        # One after the other within a run, so that they share what else the machine does.
        for _ in range(RUNS):
            for sender, receiver in (("native", "page"), ("page", "native"), ("page", "page"), ("native", "native")):
                name = f"{sender} to {receiver}"
                if wants(name):
                    rows.setdefault((name, "MB/s"), []).append(rate(machine, sender, receiver))
            for first, second in (("native", "page"), ("page", "native"), ("native", "native")):
                name = f"connect, {second} to a waiting {first}"
                if wants(name):
                    rows.setdefault((name, "ms"), []).append(connect(machine, first, second))
            if wants("100 bytes"):
                rows.setdefault(("100 bytes to the native peer and back", "ms"), []).append(message(machine))
        if wants("idle"):
            resident, share = idle(machine)
            rows["100 idle connections, resident", "MiB"] = [resident]
            rows["100 idle connections, of one core", "%"] = [share]
    print(f"load {os.getloadavg()[0]:.1f}, {RUNS} runs, {BYTES} bytes")
    for (name, unit), values in rows.items():
        print(f"{name:45} {statistics.median(values):8.1f} {unit:5} ({', '.join(f'{value:.1f}' for value in values)})")


if __name__ == "__main__":
    if os.geteuid() or not CHROMIUM:
        sys.exit("Needs root and Chromium.")
    main(sys.argv[1:])
