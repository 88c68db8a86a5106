"""Peers behind NATs: two native ones, and a browser and a native one. See `make test-nat`.

    python3 Tests/Network/nat.py [part of a case's name …]

Needs root, iproute2, iptables, coturn, and Chromium for the cases with a browser.
"""
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile

from lab import PUBLIC, Lab
from peers import CHROMIUM, Chat, Missing, Program, event

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAT = os.environ.get("DAT", str(ROOT / ".build/debug/dat"))
HUB = f"ws://{PUBLIC}:3300"
SERVER = f"{PUBLIC}:3478"


class Scene:
    """A hub and a server of STUN and TURN in the public net, and what runs beside them."""

    def __init__(self, lab, folder):
        self.lab, self.folder, self.programs = lab, folder, []
        self.run("pub", DAT, "signal", "--json", "--listen", f"{PUBLIC}:3300").wait(
            lambda line: event(line).get("event") == "listening", "the hub")
        # Nothing is relayed to private addresses, as by every relay that is open to the world.
        self.run("pub", "turnserver", "-n", "-L", PUBLIC, "-E", PUBLIC, "-p", "3478", "--min-port", "50000",
                 "--max-port", "50999", "--lt-cred-mech", "-u", "ana:secret", "-r", "home", "--no-tls", "--no-dtls",
                 "--no-cli", "--no-multicast-peers", "--denied-peer-ip=10.0.0.0-10.255.255.255", "--simple-log",
                 "--db", f"{folder}/turn.db", "--pidfile", f"{folder}/turn.pid", "--log-file", "stdout", "-v").wait(
            lambda line: "listener opened on : " + SERVER in line or "UDP listener opened" in line, "the relay")
        self.account("good", "ana secret")
        self.account("bad", "ana wrong")

    def account(self, name, words):
        (self.folder / name).write_text(f"{SERVER} {words}\n")

    def run(self, machine, *command):
        program = Program(self.lab.on(machine, *command))
        self.programs.append(program)
        return program

    def chat(self, machine, name, key=None, helps=()):
        options = ["--signal", HUB, "--patience", "0"]
        for help in helps:
            options += ["--stun", SERVER] if help == "stun" else ["--turn", str(self.folder / help)]
        chat = Chat(self.lab, machine, DAT, str(self.folder / name), name, key, options)
        self.programs.append(chat)
        return chat

    def browser(self, machine, name, key, ice, more=""):
        """A page in Chromium whose end of the room is a chat beside it."""
        chat = Chat(self.lab, machine, DAT, str(self.folder / name), name, key, ["--listen", "127.0.0.1:0"])
        self.programs.append(chat)
        _, listening = chat.happens("listening")
        bridge = self.run(machine, sys.executable, "-u", str(ROOT / "Tests/Browser/bridge.py"),
                          str(ROOT / "Tests/Browser/page"), str(listening["port"]))
        _, line = bridge.wait(lambda line: event(line).get("event") == "serving", "the page's server")
        app = hashlib.blake2b(b"hypercore", key=bytes.fromhex(key), digest_size=32).hexdigest()
        url = f"http://127.0.0.1:{event(line)['port']}/?hub={HUB}&app={app}&id={name}&ice={json.dumps(ice)}{more}"
        self.run(machine, CHROMIUM, "--headless", "--no-sandbox", f"--user-data-dir={self.folder}/profile-{name}", url)
        at, _ = bridge.wait(lambda line: event(line).get("event") == "listening", "the page at the hub")
        chat.started = at
        return chat, bridge

    def close(self):
        for program in reversed(self.programs):
            program.stop(hard=not isinstance(program, Chat))


def talk(one, other):
    """Each sees what the other says; returns the milliseconds from the second one's start to their meeting."""
    at, _ = other.happens("connection", state="connected")
    for speaker, listener, text in ((one, other, "there"), (other, one, "and back")):
        speaker.send(text)
        listener.happens("message", message=text)
    return round(1000 * (at - other.started))


def native(routers, helps):
    def case(scene):
        for home, kind in zip("ab", routers):
            scene.lab.nat(home, kind)
        one = scene.chat("a", "ana", helps=helps[0])
        return talk(one, scene.chat("b", "bea", one.key, helps[1]))
    return case


def page(routers, ice, helps):
    def case(scene):
        if not CHROMIUM:
            return "skipped: no Chromium"
        for home, kind in zip("ab", routers):
            scene.lab.nat(home, kind)
        one = scene.chat("b", "ana", helps=helps)
        other, bridge = scene.browser("a", "bea", one.key, ice)
        at, _ = bridge.wait(lambda line: event(line).get("event") == "connected", "the page's channel")
        talk(one, other)
        return round(1000 * (at - other.started))
    return case


def no_way(scene):
    """Symmetric routers and no relay: nobody meets, and each is told so in a sentence."""
    for home in "ab":
        scene.lab.nat(home, "symmetric")
    one = scene.chat("a", "ana", helps=("stun",))
    scene.chat("b", "bea", one.key, ("stun",))
    _, line = one.wait(lambda line: "only a TURN server helps" in line, "the sentence", 90)
    return "told: " + json.dumps(event(line), ensure_ascii=False)


def refused(scene):
    """A relay that refuses is told of once; where a way without it exists peers meet all the same."""
    for home in "ab":
        scene.lab.nat(home, "preserving")
    one = scene.chat("a", "ana", helps=("stun", "bad"))
    other = scene.chat("b", "bea", one.key, ("stun",))
    milliseconds = talk(one, other)
    _, line = one.wait(lambda line: "refuses the account" in line, "the sentence")
    return f"{milliseconds} ms; told: " + json.dumps(event(line), ensure_ascii=False)


def quits(scene):
    """A browser that closes amid the handshake is told of, and others meet meanwhile."""
    if not CHROMIUM:
        return "skipped: no Chromium"
    for home in "ab":
        scene.lab.nat(home, "preserving")
    one = scene.chat("b", "ana", helps=("stun",))
    _, bridge = scene.browser("a", "bea", one.key, STUN_ICE, "&quits")
    bridge.wait(lambda line: event(line).get("event") == "quit", "the page's end")
    milliseconds = talk(one, scene.chat("a", "cem", one.key, ("stun",)))
    _, line = one.wait(lambda line: "No way to the peer" in line or "did not go on" in line, "the sentence", 90)
    return f"{milliseconds} ms for another one; told: " + json.dumps(event(line), ensure_ascii=False)


STUN_ICE = [{"urls": f"stun:{SERVER}"}]
TURN_ICE = [{"urls": f"turn:{SERVER}?transport=udp", "username": "ana", "credential": "secret"}]
PRESERVING, SYMMETRIC = ("preserving", "preserving"), ("symmetric", "symmetric")
CASES = {
    "two native peers behind port-preserving routers, by STUN": native(PRESERVING, [("stun",), ("stun",)]),
    "two native peers behind symmetric routers, by TURN on both sides": native(SYMMETRIC, [("good",), ("good",)]),
    "two native peers behind symmetric routers, by TURN of the first and STUN": native(SYMMETRIC, [("good",), ("stun",)]),
    "two native peers, one router of each kind, by TURN of the second": native(
        ("symmetric", "preserving"), [("stun",), ("stun", "good")]),
    "a browser and a native peer behind port-preserving routers, by STUN": page(PRESERVING, STUN_ICE, ("stun",)),
    "a browser behind a symmetric router, by TURN of the native peer": page(
        ("symmetric", "preserving"), STUN_ICE, ("stun", "good")),
    "a browser and a native peer behind symmetric routers, by TURN of both": page(SYMMETRIC, TURN_ICE, ("good",)),
    "symmetric routers and no relay: told": no_way,
    "a relay that refuses: told": refused,
    "a browser that closes amid the handshake: told": quits,
}


def main(words):
    missing = [name for name in ("ip", "iptables", "turnserver") if not shutil.which(name)]
    if os.geteuid() or missing:
        sys.exit("Needs root." if os.geteuid() else "Missing: " + ", ".join(missing))
    failures = 0
    for name, case in CASES.items():
        if words and not any(word in name for word in words):
            continue
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            scene = None
            try:
                scene = Scene(lab, pathlib.Path(folder))
                result = case(scene)
                print(f"passed  {name}: {result}{' ms' if isinstance(result, int) else ''}", flush=True)
            except Missing as error:
                failures += 1
                print(f"FAILED  {name}: {error}", flush=True)
            finally:
                if scene:
                    scene.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
