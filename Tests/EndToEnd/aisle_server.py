"""Starts, stops and kills the real server process."""

import atexit
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from aisle_resp import Connection

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
#: Sanitizer and debug builds are slower: every patience is multiplied by this.
PATIENCE = float(os.environ.get("AISLE_PATIENCE", "1"))


def binary():
    """The server under test: $AISLE_BIN, else the newest build."""
    chosen = os.environ.get("AISLE_BIN")
    if chosen:
        return chosen
    built = [REPOSITORY / ".build" / kind / "aisle" for kind in ("release", "debug")]
    built = [path for path in built if path.exists()]
    if not built:
        raise RuntimeError("no aisle binary: run Tools/dev build, or set AISLE_BIN")
    return str(max(built, key=lambda path: path.stat().st_mtime))


def free_port():
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server with its own data directory.

    Further arguments are those of `aisle serve`. The Unix socket lies in a short temporary folder,
    as its path may have 107 bytes only.
    """

    def __init__(self, data, *args, port=None, env=None):
        self.data = str(data)
        self.args = list(args)
        self.env = env or {}
        self.has_own_port = port is not None
        self.port = port or free_port()
        self.metrics_port = free_port()
        self.short = tempfile.mkdtemp(prefix="aisle-")
        # Whatever becomes of the test.
        atexit.register(shutil.rmtree, self.short, ignore_errors=True)
        self.unix = os.path.join(self.short, "s.sock")
        self.process = None
        self.output = []
        self.ready_line = None

    def start(self, timeout=60, expect_ready=True):
        """Starts it; again with other ports where another process took them in the meantime."""
        for _ in range(3):
            try:
                return self._start(timeout, expect_ready)
            except RuntimeError as error:
                if self.has_own_port or "Address already in use" not in str(error):
                    raise
                self.port, self.metrics_port = free_port(), free_port()
        return self._start(timeout, expect_ready)

    def _start(self, timeout, expect_ready):
        command = [binary(), "serve", "--data", self.data, "--port", str(self.port),
                   "--unix", self.unix, "--metrics-port", str(self.metrics_port), *self.args]
        self.log_path = os.path.join(self.short, "server.log")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
            env={**os.environ, **self.env})
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._drain, daemon=True)
        self.reader.start()
        if expect_ready:
            deadline = time.monotonic() + timeout * PATIENCE
            while not self.ready.wait(0.02):
                if self.process.poll() is not None:
                    raise RuntimeError(f"server ended with {self.process.returncode}: "
                                       f"{self.output[-5:]} {self.log_tail()}")
                if time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(f"no ready line: {self.output[-5:]} {self.log_tail()}")
        return self

    def _drain(self):
        for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            self.output.append(text)
            if text.lstrip().startswith("ready"):
                self.ready_line = text
                self.ready.set()

    def log_tail(self, count=3000):
        with open(self.log_path, "rb") as file:
            return file.read()[-count:].decode(errors="replace")

    def connect(self, protocol=2, unix=False, **more):
        more.setdefault("timeout", 60 * PATIENCE)
        if unix:
            return Connection(unix=self.unix, protocol=protocol, **more)
        return Connection(port=self.port, protocol=protocol, **more)

    def stop(self, timeout=30):
        """Asks for a graceful end and returns the exit status."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError(f"server did not end on SIGTERM: {self.log_tail()}") from None
        self._close()
        return self.process.returncode if self.process else None

    def kill(self):
        """SIGKILL: no last words."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close()

    def _close(self):
        if self.process:
            self.reader.join(5)
            self.process.stdout.close()
            self.log.close()

    def restart(self, *args, kill=False):
        """Ends the server and starts it on the same data; with `args` as its new options."""
        if kill:
            self.kill()
        else:
            assert self.stop() == 0, self.log_tail()
        if args:
            self.args = list(args)
        return self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def remove(self):
        self.kill()
        shutil.rmtree(self.short, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)


def run_aisle(*args, input=None, timeout=120, env=None):
    """Runs one subcommand to its end."""
    return subprocess.run([binary(), *map(str, args)], input=input, capture_output=True,
                          timeout=timeout * PATIENCE, env={**os.environ, **(env or {})})
