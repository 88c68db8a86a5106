"""A fleet of ten hosts in network namespaces, whose directory is bind9 with dynamic updates. See `make test-fleet`.

    python3 Tests/Network/fleet.py [part of a case's name …]

Needs root, iproute2, bind9 (named) and bind9-dnsutils (nsupdate). The cases build on each other: with parts of names,
those before them run too, and are not reported.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from peers import Missing, Program, event

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAT = os.environ.get("DAT", str(ROOT / ".build/debug/dat"))
COUNT, KEYS, BLOCKS, GRACE = 10, 12, 5, 6
HUB, ZONE = "10.79.0.254", "hosts.example.org"
SERVICE = f"_dat._tcp.{ZONE}"
PATIENCE = 240


def run(*command, check=True, text=None):
    done = subprocess.run(command, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode != 0:
        raise Missing(f"{' '.join(command)} failed: {done.stdout}")
    return done.stdout


class Network:
    """Machines on one bridge; the hub has the DNS server."""

    def __init__(self):
        self.prefix = f"dat-fleet-{os.getpid()}"

    def name(self, machine):
        return f"{self.prefix}-{machine}"

    def on(self, machine, *command):
        return ["ip", "netns", "exec", self.name(machine), *command]

    @staticmethod
    def address(machine):
        return HUB if machine == "hub" else f"10.79.0.{machine + 1}"

    def __enter__(self):
        run("ip", "netns", "add", self.name("hub"))
        run(*self.on("hub", "ip", "link", "add", "br0", "type", "bridge"))
        run(*self.on("hub", "ip", "addr", "add", f"{HUB}/24", "dev", "br0"))
        for device in ("br0", "lo"):
            run(*self.on("hub", "ip", "link", "set", device, "up"))
        for machine in range(COUNT):
            run("ip", "netns", "add", self.name(machine))
            run("ip", "link", "add", f"p{machine}", "netns", self.name("hub"), "type", "veth",
                "peer", "name", "eth0", "netns", self.name(machine))
            run(*self.on("hub", "ip", "link", "set", f"p{machine}", "master", "br0", "up"))
            run(*self.on(machine, "ip", "addr", "add", f"{self.address(machine)}/24", "dev", "eth0"))
            for device in ("eth0", "lo"):
                run(*self.on(machine, "ip", "link", "set", device, "up"))
        return self

    def __exit__(self, *_):
        for machine in ["hub", *range(COUNT)]:
            run("ip", "netns", "del", self.name(machine), check=False)


class Directory:
    """bind9 with one zone, which only the holder of a key may change."""

    def __init__(self, network, folder):
        self.network, self.folder, self.program = network, folder, None
        key = run("tsig-keygen", "fleet")
        (folder / "key").write_text(key)
        (folder / "zone").write_text(
            f"$TTL 1\n@ SOA ns.{ZONE}. admin.{ZONE}. 1 60 60 60 1\n@ NS ns.{ZONE}.\nns A {HUB}\n")
        (folder / "named.conf").write_text(f"""{key}
options {{ directory "{folder}"; pid-file "{folder}/pid"; session-keyfile "{folder}/session"; recursion no;
  listen-on port 53 {{ {HUB}; }}; listen-on-v6 {{ none; }}; allow-query {{ any; }}; dnssec-validation no; }};
controls {{ }};
zone "{ZONE}" {{ type primary; file "{folder}/zone"; allow-update {{ key "fleet"; }}; }};
""")
        self.start()

    def start(self):
        self.program = Program(self.network.on("hub", "named", "-g", "-c", str(self.folder / "named.conf")))
        self.program.wait(lambda line: line.endswith(" running"), "the DNS server")

    def stop(self):
        self.program.stop()

    def update(self, *lines):
        text = "\n".join([f"server {HUB}", f"zone {ZONE}", *lines, "send", ""])
        run(*self.network.on("hub", "nsupdate", "-k", str(self.folder / "key")), text=text)

    def add(self, *machines):
        self.update(*(line for machine in machines for line in (
            f"update add {SERVICE}. 1 SRV 0 0 3282 {name(machine)}.",
            f"update add {name(machine)}. 1 A {Network.address(machine)}")))

    def remove(self, *machines):
        self.update(*(f"update delete {SERVICE}. SRV 0 0 3282 {name(machine)}." for machine in machines))


def name(machine):
    return f"h{machine}.{ZONE}"


class Host(Program):
    """`dat host` on a machine."""

    def __init__(self, network, machine, folder):
        self.folder = folder / f"h{machine}"
        super().__init__(network.on(
            machine, DAT, "host", str(self.folder), "--json", "--listen", "0.0.0.0:3282", "--no-lan",
            "--fleet", f"srv:{SERVICE}@{HUB}", "--fleet-key", str(folder / "fleet.key"), "--self", name(machine),
            "--grace", str(GRACE), "--keep", "0.0001", "--log", "warning"))
        self.wait(lambda line: event(line).get("event") == "ready", f"host {machine}")

    def ask(self, command, **fields):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.folder / "control"))
            control.sendall((json.dumps({"command": command, **fields}) + "\n").encode())
            answer = b""
            while not answer.endswith(b"\n"):
                part = control.recv(1 << 16)
                if not part:
                    raise Missing("a host ended instead of answering")
                answer += part
        answer = json.loads(answer)
        if answer.get("error"):
            raise Missing(answer["error"])
        return answer.get("report") or answer.get("replicas")

    @property
    def fleet(self):
        return self.ask("status")["fleet"]


class Scene:
    def __init__(self, network, folder):
        self.network, self.folder, self.hosts = network, folder, {}
        run(DAT, "host", "new-fleet-key", str(folder / "fleet.key"))
        (folder / "dns").mkdir()
        self.directory = Directory(network, folder / "dns")
        self.keys = []

    def start(self, *machines):
        for machine in machines:
            self.hosts[machine] = Host(self.network, machine, self.folder)

    def stop(self, *machines, hard=False):
        for machine in machines:
            self.hosts.pop(machine).stop(hard=hard)

    def close(self):
        self.stop(*list(self.hosts), hard=True)
        self.directory.stop()

    def until(self, what, is_right):
        """Waits, and returns the seconds that it took."""
        start, shown = time.monotonic(), None
        while time.monotonic() - start < PATIENCE:
            shown = is_right()
            if shown is True:
                return time.monotonic() - start
            time.sleep(0.2)
        raise Missing(f"{what} within {PATIENCE} s; the last look: {shown}")

    def holders(self):
        """By key, the machines that serve all of it."""
        found = {key: set() for key in self.keys}
        for machine, host in self.hosts.items():
            for status in host.ask("list"):
                if status["key"] in found and status["state"] == "hosting" and status["stored"] == BLOCKS:
                    found[status["key"]].add(machine)
        return found

    def stored(self):
        """The number of folders of keys on all disks."""
        return sum(1 for machine in range(COUNT) for _ in (self.folder / f"h{machine}/replicas").glob("*"))

    def two_copies(self):
        """True if each key is whole on two hosts that run, and served by no other."""
        holders = self.holders()
        wrong = {key[:8]: sorted(machines) for key, machines in holders.items() if len(machines) != 2}
        return wrong or True

    def connected(self):
        seen = {machine: (host.fleet["members"], host.fleet["connected"]) for machine, host in self.hosts.items()}
        return True if set(seen.values()) == {(COUNT, COUNT - 1)} else seen

    # MARK: Cases

    def meet(self):
        self.start(*range(COUNT))
        self.directory.add(*range(COUNT))
        return f"ten hosts know each other after {self.until('all connected', self.connected):.1f} s"

    def add(self):
        """Keys that are added on one host reach all, and their blocks two."""
        writers = []
        for number in range(KEYS):
            folder = str(self.folder / f"feed{number}")
            run(DAT, "feed", "append", folder, text="".join(f"block {block}\n" for block in range(BLOCKS)))
            key = json.loads(run(DAT, "feed", "info", folder, "--json").splitlines()[0])["key"]
            self.keys.append(key)
        for number, key in enumerate(self.keys):
            self.hosts[number % COUNT].ask("add", key=f"feed:{key}")
        spread = self.until("the keys on all hosts", lambda: all(
            host.fleet["keys"] == KEYS for host in self.hosts.values()))
        # A host of its own, in no fleet, carries the writers' blocks to all that hold their keys.
        connects = [f"{Network.address(machine)}:3282" for machine in range(COUNT)]
        for number in range(KEYS):
            connects.append(f"127.0.0.1:{4000 + number}")
            writers.append(Program(self.network.on(
                "hub", DAT, "feed", "serve", str(self.folder / f"feed{number}"), "--listen", connects[-1])))
        writers.append(Program(self.network.on(
            "hub", DAT, "host", str(self.folder / "carrier"), *(f"feed:{key}" for key in self.keys), "--no-lan",
            "--listen", f"{HUB}:3282", *(word for address in connects for word in ("--connect", address)))))
        copied = self.until("two copies of each key", self.two_copies)
        for writer in writers:
            writer.stop()
        return f"{KEYS} keys on all ten after {spread:.1f} s, two copies of each {copied:.1f} s after that"

    def leave(self):
        """A host that leaves the directory hands its keys over, and comes back."""
        self.directory.remove(3)
        self.until("h3 missing", lambda: self.hosts[0].fleet["missing"] == [name(3)])
        self.stop(3)
        away = self.until("two copies without h3", self.two_copies)
        self.start(3)
        self.directory.add(3)
        back = self.until("two copies with h3", lambda: self.connected() is True and self.two_copies())
        freed = self.until("the space of the third copies", lambda: self.stored() == 2 * KEYS or self.stored())
        return (f"two copies again {away:.1f} s after a host left, with {GRACE} s of grace; {back:.1f} s after it came "
                f"back, and {freed:.1f} s later the third copies were freed")

    def kill(self):
        """A host that is killed and is back within the grace moves nothing."""
        before = self.holders()
        self.stop(5, hard=True)
        self.directory.remove(5)
        self.start(5)
        self.directory.add(5)
        self.until("all connected", self.connected)
        # Each asks the directory at times of its own.
        self.until("nobody missing", lambda: {
            machine: host.fleet["missing"] for machine, host in self.hosts.items() if host.fleet["missing"]} or True)
        after = self.holders()
        if before != after:
            raise Missing(f"keys have moved: {before} {after}")
        return "a killed host that was back within the grace: no key has moved"

    def vanish(self):
        """A DNS server that is gone removes nobody."""
        self.directory.stop()
        self.until("a sentence about the directory", lambda: all(
            host.fleet.get("trouble") for host in self.hosts.values()))
        time.sleep(2 * GRACE)
        fleets = [host.fleet for host in self.hosts.values()]
        if any(fleet["members"] != COUNT or fleet["missing"] for fleet in fleets):
            raise Missing(f"somebody was removed: {fleets}")
        sentence = fleets[0]["trouble"]
        self.directory.start()
        self.until("an answer again", lambda: all(not host.fleet.get("trouble") for host in self.hosts.values()))
        return f"the DNS server away for {2 * GRACE} s: ten members, none missing; \"{sentence}\""

    def half(self):
        """Half of the hosts is killed at once: what they alone had is named, and is there when they are back."""
        before = self.holders()
        lost = sorted(key for key, machines in before.items() if machines <= {5, 6, 7, 8, 9})
        self.stop(5, 6, 7, 8, 9, hard=True)
        self.directory.remove(5, 6, 7, 8, 9)

        def named():
            found = {one["key"].split(":")[1] for host in self.hosts.values() for one in host.fleet["lost"]}
            return True if sorted(found) == lost else (sorted(found), lost)
        self.until("a sentence about half of the fleet", lambda: any(
            "5 of 10 members" in warning["sentence"] for warning in self.hosts[0].ask("status")["warnings"]))
        told = self.until("the lost keys named", named)
        rest = self.until("two copies of the others", lambda: {
            key[:8]: sorted(machines) for key, machines in self.holders().items()
            if key not in lost and len(machines) != 2} or True)
        self.start(5, 6, 7, 8, 9)
        self.directory.add(5, 6, 7, 8, 9)
        back = self.until("two copies of all", lambda: self.connected() is True and self.two_copies())
        if self.holders() != before:
            raise Missing("the keys are not where they were")
        return (f"five of ten killed at once: the {len(lost)} keys that they alone had named after {told:.1f} s, two "
                f"copies of the other {KEYS - len(lost)} {rest:.1f} s later; {back:.1f} s after they came back all "
                "keys were where they had been")


CASES = ["meet", "add", "leave", "kill", "vanish", "half"]


def main():
    for program in ("named", "nsupdate", "tsig-keygen", "ip"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing: install bind9, bind9-dnsutils and iproute2.")
    wanted = [case for case in CASES if not sys.argv[1:] or any(part in case for part in sys.argv[1:])]
    # Short, since the path of a socket has room for 103 bytes.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fleet"))
    try:
        with Network() as network:
            scene = Scene(network, folder)
            try:
                for case in CASES[:CASES.index(wanted[-1]) + 1]:
                    said = getattr(scene, case)()
                    if case in wanted:
                        print(f"{case}: {said}.", flush=True)
            except Missing as missing:
                for machine, host in sorted(scene.hosts.items()):
                    while host.drain(0):
                        pass
                    print(f"h{machine}:", *[line for _, line in host.lines[-4:]], sep="\n  ")
                sys.exit(f"{case}: {missing}")
            finally:
                scene.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
