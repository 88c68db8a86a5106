#!/usr/bin/env python3
"""Rooms under everyday wear: peers that chat, join, leave and are killed, for hours.

Ten peers in three rooms on loopback, each a `dat chat` process. One peer of every room stays up for
the whole run: its memory and open files are sampled. At the end every peer is opened once more, and
all views of a room must be the same and hold every message that its writer was shown as written.

    Scripts/soak.py --hours 2            # make soak HOURS=2
    Scripts/soak.py --seconds 60 --seed 7
"""

import argparse
import json
import os
import pathlib
import queue
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOMS = [4, 3, 3]
# A message stays in memory with its key, author and text, on every peer that shows it.
BYTES_A_MESSAGE = 2048
# What the heap may wander without being a leak.
SLACK = 8 << 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """One folder, and the process on it while there is one."""

    def __init__(self, dat, room, name, folder):
        self.dat, self.room, self.name, self.folder = dat, room, name, folder
        self.port = free_port()
        self.process = None
        self.own = {}
        self.view = {}
        self.said = 0
        self.caught_up = threading.Event()
        self.can_write = threading.Event()
        self.errors = []

    @property
    def running(self):
        return self.process is not None

    def start(self):
        self.view = {}
        self.can_write.clear()
        command = [self.dat, "chat", str(self.folder)]
        if self.room.key and self is not self.room.peers[0]:
            command.append(self.room.key)
        command += ["--name", self.name, "--json", "--stay"]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        for other in self.room.peers:
            if other is not self:
                command += ["--connect", f"127.0.0.1:{other.port}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, encoding="utf-8", bufsize=1)
        ready = threading.Event()
        threading.Thread(target=self.read, args=(self.process, ready), daemon=True).start()
        threading.Thread(target=self.drain, args=(self.process,), daemon=True).start()
        if not ready.wait(30):
            raise SystemExit(f"{self.name} was not ready within 30 s: {self.errors[-3:]}")

    def read(self, process, ready):
        for line in process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                self.errors.append(f"no JSON: {line[:200]!r}")
                continue
            kind = event.get("event")
            if kind == "ready":
                self.room.key = self.room.key or event["key"]
                self.local = event["local"]
                if event["local"] == event["key"]:
                    self.can_write.set()
                ready.set()
            elif kind == "authorized":
                self.can_write.set()
            elif kind == "message":
                data = event["data"]
                self.view[data["key"]] = data["message"]
                if data["username"] == self.name:
                    self.own[data["key"]] = data["message"]
            elif kind == "unreadable":
                self.errors.append(f"unreadable: {line[:200]!r}")

    def drain(self, process):
        for line in process.stderr:
            if "Fatal error" in line or "crash" in line.lower():
                self.errors.append(line.strip()[:300])

    def say(self):
        self.said += 1
        try:
            self.process.stdin.write(f"{self.name} says {self.said}: {'word ' * random.randint(1, 30)}\n")
            self.process.stdin.flush()
        except OSError:
            self.errors.append("was gone when it was to speak")

    def end(self, kill):
        process, self.process = self.process, None
        process.send_signal(signal.SIGKILL if kill else signal.SIGINT)
        try:
            status = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.errors.append("did not leave within 30 s")
            return
        if not kill and status != 0:
            self.errors.append(f"left with status {status}")

    def sample(self):
        """Resident bytes and open descriptors."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            resident = next(
                int(l.split()[1]) * 1024 for l in status.splitlines() if l.startswith("VmRSS:"))
            return resident, len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except (OSError, StopIteration):
            self.errors.append("died by itself")
            raise SystemExit(f"{self.name} died by itself: {self.errors[-3:]}")


class Room:
    def __init__(self, dat, number, size, folder):
        self.key = None
        self.peers = []
        self.samples = []
        for i in range(size):
            name = f"r{number}p{i}"
            self.peers.append(Peer(dat, self, name, folder / name))

    @property
    def written(self):
        return {k: v for p in self.peers for k, v in p.own.items()}


def step(rooms, chance, counts):
    """One thing that happens to one peer that is not the one that stays."""
    room = chance.choice(rooms)
    peer = chance.choice(room.peers)
    stays = peer is room.peers[0]
    what = chance.random()
    if not peer.running:
        if what < 0.5:
            peer.start()
            counts["joins"] += 1
    elif what < 0.06 and not stays:
        peer.end(kill=True)
        counts["kills"] += 1
    elif what < 0.12 and not stays:
        peer.end(kill=False)
        counts["leaves"] += 1
    elif peer.can_write.is_set():
        peer.say()
        counts["messages"] += 1


def wait_for_views(rooms, seconds):
    """Whether all peers of each room show the same, and all that was written; and what differs."""
    deadline = time.monotonic() + seconds
    while True:
        problems = []
        for room in rooms:
            written = room.written
            for peer in room.peers:
                lost = [k for k, v in written.items() if peer.view.get(k) != v]
                if lost or len(peer.view) != len(written):
                    problems.append(
                        f"{peer.name} shows {len(peer.view)} of {len(written)}, lacks {lost[:3]}")
        if not problems or time.monotonic() > deadline:
            return problems
        time.sleep(0.2)


def judge(rooms):
    """A line a room on what its steady peer held, and what is wrong with that."""
    problems = []
    for room in rooms:
        samples = room.samples[len(room.samples) // 10:]
        quarter = max(len(samples) // 4, 1)
        first, last = samples[:quarter], samples[-quarter:]
        memory = [statistics.median(s[0] for s in part) for part in (first, last)]
        files = [statistics.median(s[1] for s in part) for part in (first, last)]
        messages = last[-1][2] - first[0][2]
        allowed = SLACK + BYTES_A_MESSAGE * messages
        print(
            f"{room.peers[0].name}: resident {memory[0] / 2**20:.1f} MiB in the first quarter, "
            f"{memory[1] / 2**20:.1f} in the last, with {messages} more messages; "
            f"open files {files[0]:.0f} and {files[1]:.0f}, at most {max(s[1] for s in samples)}")
        if memory[1] - memory[0] > allowed:
            problems.append(f"{room.peers[0].name} grew by {(memory[1] - memory[0]) / 2**20:.1f} MiB")
        if files[1] > files[0] + 4:
            problems.append(f"{room.peers[0].name} holds {files[1] - files[0]:.0f} more files")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two steps")
    parser.add_argument("--dat", default=".build/release/dat")
    options = parser.parse_args()
    seconds = options.hours * 3600 + options.seconds or 60
    chance = random.Random(options.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dat-soak."))
    print(f"seed {options.seed}, {seconds:.0f} s, {folder}", flush=True)

    rooms = [Room(options.dat, n, size, folder) for n, size in enumerate(ROOMS)]
    peers = [p for r in rooms for p in r.peers]
    counts = {"messages": 0, "joins": 0, "leaves": 0, "kills": 0}
    for room in rooms:
        for peer in room.peers:
            peer.start()

    start = time.monotonic()
    next_sample, next_report = start, start
    while (now := time.monotonic()) < start + seconds:
        step(rooms, chance, counts)
        if now >= next_sample:
            next_sample += max(seconds / 720, 1)
            for room in rooms:
                room.samples.append((*room.peers[0].sample(), len(room.peers[0].view)))
        if now >= next_report:
            next_report += max(seconds / 24, 10)
            held = ", ".join(f"{r.samples[-1][0] / 2**20:.1f} MiB {r.samples[-1][1]} files" for r in rooms)
            print(f"{now - start:6.0f} s  {counts}  {held}", flush=True)
        time.sleep(options.pause * chance.uniform(0.5, 1.5))

    # Everyone back, with what is on disk and what the others have.
    for peer in peers:
        if peer.running:
            peer.end(kill=False)
    for peer in peers:
        peer.start()
    problems = wait_for_views(rooms, 120) + judge(rooms)
    for peer in peers:
        peer.end(kill=False)
        problems += [f"{peer.name}: {e}" for e in peer.errors]
    print(f"{counts}, {sum(len(r.written) for r in rooms)} messages shown as written")
    for problem in problems:
        print(f"FAILED: {problem}")
    if problems:
        print(f"the folders are kept in {folder}; the seed was {options.seed}")
        return 1
    shutil.rmtree(folder)
    print("views equal, nothing lost, memory and files flat")
    return 0


if __name__ == "__main__":
    sys.exit(main())
