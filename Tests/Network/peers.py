"""Programs of the campaign: each line of their output is awaited as it comes."""
import json
import os
import queue
import subprocess
import threading
import time

PATIENCE = 60
CHROMIUM = next((path for path in ("/usr/lib/chromium/chromium", "/usr/lib/chromium-browser/chromium-browser")
                 if os.access(path, os.X_OK)), None)


class Missing(Exception):
    pass


class Program:
    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self.queue = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.queue.put((time.monotonic(), line.rstrip("\n")))
        self.queue.put((time.monotonic(), None))

    def drain(self, patience):
        """Takes one more line; false if there is none in time, or ever."""
        try:
            at, line = self.queue.get(timeout=max(patience, 0.01))
        except queue.Empty:
            return False
        if line is None:
            return False
        self.lines.append((at, line))
        return True

    def wait(self, matches, what, patience=PATIENCE):
        """The first line that matches, also among those that came before, with the time at which it came."""
        end, seen = time.monotonic() + patience, 0
        while True:
            for at, line in self.lines[seen:]:
                if matches(line):
                    return at, line
            seen = len(self.lines)
            if time.monotonic() > end or not self.drain(end - time.monotonic()):
                raise Missing(f"{what} did not come; the last lines:\n" + "\n".join(line for _, line in self.lines[-12:]))

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self, hard=False):
        if self.process.poll() is None:
            (self.process.kill if hard else self.process.terminate)()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def event(line):
    try:
        return json.loads(line)
    except ValueError:
        return {}


class Chat(Program):
    """`dat chat --json` on a machine."""

    def __init__(self, lab, machine, dat, folder, name, key=None, options=()):
        keys = [key] if key else []
        super().__init__(lab.on(machine, dat, "chat", folder, *keys, "--name", name, "--json", "--no-lan", *options))
        self.started = time.monotonic()
        _, ready = self.happens("ready")
        self.key = ready["key"]

    def happens(self, kind, patience=PATIENCE, **fields):
        def matches(line):
            said = event(line)
            data = said.get("data") or said
            return said.get("event") == kind and all(data.get(field) == value for field, value in fields.items())
        at, line = self.wait(matches, f"{kind} {fields}", patience)
        return at, event(line)
