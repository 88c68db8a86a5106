"""`dat chat` and `dat rooms` with `--json --web` as processes of their own, driven through pipes."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAT = os.environ.get("DAT", str(ROOT / ".build" / "debug" / "dat"))


class Program:
    """One run of the command. Events are kept in order; `wait` looks at old ones too."""

    running = []

    def __init__(self, name, arguments):
        self.name = name
        self.events = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [DAT, *arguments, "--name", name, "--json", "--no-lan"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        Program.running.append(self)
        threading.Thread(target=self._read, daemon=True).start()

    def listening(self):
        port = self.wait(lambda event: event["event"] == "listening")["port"]
        self.address = f"127.0.0.1:{port}"

    def serving(self):
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
        if self in Program.running:
            Program.running.remove(self)
        return status

    @classmethod
    def stop_all(cls):
        for peer in list(cls.running):
            try:
                peer.leave()
            except subprocess.TimeoutExpired:
                peer.kill()


class Peer(Program):
    """One run of `dat chat`: a room."""

    def __init__(self, folder, name, key=None, connect=(), listen=True, web=True, options=()):
        self.folder = folder
        arguments = ["chat", str(folder)] + ([key] if key else []) + list(options)
        if listen:
            arguments += ["--listen", "127.0.0.1:0"]
        for address in connect:
            arguments += ["--connect", address]
        if web:
            arguments += ["--web"]
        super().__init__(name, arguments)
        ready = self.wait(lambda event: event["event"] == "ready")
        self.key, self.local = ready["key"], ready["local"]
        if listen:
            self.listening()
        if web:
            self.serving()


class Rooms(Program):
    """One run of `dat rooms`: all rooms of a folder."""

    def __init__(self, folder, name, connect=(), options=()):
        self.folder = folder
        arguments = ["rooms", str(folder), "--web", "--listen", "127.0.0.1:0", *options]
        for address in connect:
            arguments += ["--connect", address]
        super().__init__(name, arguments)
        self.listening()
        self.serving()
