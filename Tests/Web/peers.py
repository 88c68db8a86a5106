"""`dat chat --json --web 0` as a process of its own, driven through its pipes."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAT = os.environ.get("DAT", str(ROOT / ".build" / "release" / "dat"))


class Peer:
    """One run of `dat chat`. Events are kept in order; `wait` looks at old ones too."""

    running = []

    def __init__(self, folder, name, key=None, connect=(), listen=True, web=True, options=()):
        arguments = [DAT, "chat", str(folder)] + ([key] if key else [])
        arguments += ["--name", name, "--json", "--no-lan"]
        if listen:
            arguments += ["--listen", "127.0.0.1:0"]
        for address in connect:
            arguments += ["--connect", address]
        if web:
            arguments += ["--web"]
        arguments += list(options)
        self.folder, self.name = folder, name
        self.events = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        Peer.running.append(self)
        threading.Thread(target=self._read, daemon=True).start()
        ready = self.wait(lambda event: event["event"] == "ready")
        self.key, self.local = ready["key"], ready["local"]
        if listen:
            listening = self.wait(lambda event: event["event"] == "listening")
            self.address = f"127.0.0.1:{listening['port']}"
        if web:
            self.url = self.wait(lambda event: event["event"] == "web")["url"]
            self.origin, self.secret = self.url.split("/#")

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "ended"})
            self.changed.notify_all()

    def wait(self, matches, seconds=30):
        """The first event that matches."""
        deadline = time.monotonic() + seconds
        looked = 0
        with self.changed:
            while True:
                for event in self.events[looked:]:
                    looked += 1
                    if matches(event):
                        return event
                    if event["event"] == "ended":
                        raise AssertionError(f"{self.name} ended: {self.events[-3:]}")
                if not self.changed.wait(deadline - time.monotonic()) \
                        and time.monotonic() >= deadline:
                    raise AssertionError(f"{self.name} said only {self.events[-5:]}")

    def wait_message(self, text, seconds=30):
        return self.wait(
            lambda event: event["event"] == "message" and event["data"]["message"] == text, seconds)

    def has_message(self, text):
        with self.changed:
            return any(
                event["event"] == "message" and event["data"]["message"] == text
                for event in self.events)

    def say(self, *texts):
        """Writes messages through standard input."""
        for text in texts:
            self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    @property
    def memory(self):
        """Resident memory now and at most, in MB; None where the system doesn't tell."""
        try:
            with open(f"/proc/{self.process.pid}/status") as status:
                fields = dict(line.split(":", 1) for line in status)
        except OSError:
            return None
        return tuple(round(int(fields[name].split()[0]) / 1024, 1) for name in ("VmRSS", "VmHWM"))

    def leave(self):
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self._ended()

    def kill(self):
        self.process.kill()
        return self._ended()

    def _ended(self):
        status = self.process.wait(timeout=30)
        if self in Peer.running:
            Peer.running.remove(self)
        return status

    @classmethod
    def stop_all(cls):
        for peer in list(cls.running):
            try:
                peer.leave()
            except subprocess.TimeoutExpired:
                peer.kill()
