#!/usr/bin/env python3
"""How long a restart takes, and what a snapshot costs while it is written.

    Benchmarks/restart/bench.py --records 100000 [--dimensions 384] [--bin .build/release/aisle]

Loads generated products with vectors, waits until all are linked, then measures: a snapshot while
lookups go on; a start after a clean stop; a start after SIGKILL with a snapshot and some writes
behind it; a start from the log alone; a restore beside the live data, and one from the file alone.
Prints one line of JSON for each, with medians where something is done more than once.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))
from aisle_resp import Connection, as_map  # noqa: E402


class Server:
    """A server on a directory, with a Unix socket."""

    def __init__(self, binary, data, *args):
        self.binary, self.data, self.args = binary, data, args
        self.folder = tempfile.mkdtemp(prefix="aisle-")
        self.socket = os.path.join(self.folder, "s.sock")

    def start(self):
        """Starts it; returns seconds from the process's start to the first correct answer."""
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--data", self.data, "--port", "0", "--unix", self.socket,
             "--snapshot-every", "0s", "--snapshot-writes", "0", *self.args],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in self.process.stdout:
            if line.lstrip().startswith(b"ready"):
                break
        self.ready = time.monotonic() - begun
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return begun

    def connect(self):
        return Connection(unix=self.socket, timeout=600)

    def stop(self, number=signal.SIGTERM):
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait()
        return time.monotonic() - begun


def info(connection, *sections):
    text = connection.call("INFO", *sections)
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def first_answer(server, question, expected=None):
    """Starts the server and asks until it answers; seconds, and the answer's ids."""
    begun = server.start()
    with server.connect() as connection:
        hits = ids(connection, question)
        seconds = time.monotonic() - begun
        figures = info(connection, "storage")
    if expected is not None:
        assert hits == expected, "the answer has changed"
    return seconds, hits, figures


def ids(connection, question):
    reply = as_map(connection.call("SIMILAR", "products", *question))
    return [as_map(hit)["id"] for hit in reply["hits"]]


def wait_for_job(connection, job):
    while True:
        row = next(r for r in map(as_map, connection.call("JOBS")) if r["id"] == job)
        if row["state"] != "running":
            assert row["state"] == "done", row
            return
        time.sleep(0.05)


def wait_for_links(connection):
    while True:
        states = re.findall(r"state=(\w+)", connection.call("INFO", "indexes"))
        if all(state == "ready" for state in states):
            return
        time.sleep(1)


def latencies(server, question, seconds, out, stop):
    with server.connect() as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not stop.is_set():
            begun = time.monotonic()
            connection.call("SIMILAR", "products", *question)
            out.append(time.monotonic() - begun)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e3


def report(what, **figures):
    print(json.dumps({"what": what, **{
        key: round(value, 3) if isinstance(value, float) else value
        for key, value in figures.items()}}), flush=True)


def drop_caches():
    """Asks for a cold start; False where that needs rights that we lack."""
    try:
        subprocess.run(["sync"], check=True)
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("1")
        return True
    except OSError:
        return False


def prepare(options, work):
    """The server with everything loaded and linked."""
    products = os.path.join(work, "products.jsonl")
    with open(products, "wb") as target:
        subprocess.run(
            [options.bin, "generate", "products", "--count", str(options.records), "--vectors",
             str(options.dimensions)], cwd=work, stdout=target, check=True)
    schema = {"fields": {
        "title": {"type": "keyword"}, "brand": {"type": "keyword", "index": True, "facet": True},
        "category": {"type": "keyword", "index": True, "facet": True},
        "price": {"type": "decimal", "scale": 2, "index": True, "sort": True},
        "rating": {"type": "float", "index": True, "sort": True},
        "tags": {"type": "keyword", "array": True, "index": True, "facet": True},
        "embedding": {"type": "vector", "dimensions": options.dimensions, "metric": "cosine",
                      "index": {"kind": "hnsw"}}}}
    path = os.path.join(work, "schema.json")
    pathlib.Path(path).write_text(json.dumps(schema))
    server = Server(options.bin, os.path.join(work, "data"))
    server.start()
    begun = time.monotonic()
    run([options.bin, "load", "products", products, "--schema", path, "--vectors",
         "embedding=" + products.replace(".jsonl", ".npy"), "--unix", server.socket], work)
    with server.connect() as connection:
        wait_for_links(connection)
    report("load and link", seconds=time.monotonic() - begun)
    return server


def run(words, work):
    done = subprocess.run(list(map(str, words)), cwd=work, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{words}: {done.stderr.decode()[-2000:]}")


def restore_beside(server, question, expected, size):
    """Restores on the running server, and leaves another snapshot for what follows."""
    with server.connect() as connection:
        begun = time.monotonic()
        wait_for_job(connection, connection.call("SNAPSHOT", "RESTORE", "full"))
        seconds = time.monotonic() - begun
        while "state=building" in connection.call("INFO", "indexes"):
            time.sleep(0.02)
        report("restore beside the live data", seconds=seconds,
               linked_seconds=time.monotonic() - begun, mb_per_s=size / seconds / 1e6)
        assert ids(connection, question) == expected, "the answer has changed"
        # What follows is of a directory as it is without.
        wait_for_job(connection, connection.call("SNAPSHOT", "CREATE", "after"))


def measure(options, work):
    server = prepare(options, work)
    with server.connect() as connection:
        some = as_map(connection.call("FIND", "products", "{}", "LIMIT", "1"))
        question = ["ID", as_map(some["hits"][0])["id"], "K", "10", "FIELDS", "_id"]
        expected = ids(connection, question)
        quiet, stop = [], threading.Event()
        latencies(server, question, options.seconds, quiet, stop)
        busy = []
        thread = threading.Thread(
            target=latencies, args=(server, question, 600, busy, stop))
        thread.start()
        begun = time.monotonic()
        wait_for_job(connection, connection.call("SNAPSHOT", "CREATE", "full"))
        seconds = time.monotonic() - begun
        stop.set()
        thread.join()
        figures = info(connection, "snapshots", "memory")
        size = int(figures["snapshot_last_bytes"])
        report("snapshot", seconds=seconds, bytes=size, mb_per_s=size / seconds / 1e6,
               pause_us=int(figures["snapshot_last_pause_us"]),
               p50_ms=percentile(quiet, 0.5), p50_ms_meanwhile=percentile(busy, 0.5),
               p99_ms=percentile(quiet, 0.99), p99_ms_meanwhile=percentile(busy, 0.99))
        rows = [as_map(row) for row in connection.call("JOBS")]
        report("jobs", count=len(rows))
    shutil.copy(os.path.join(server.data, "snapshots", "full.snap"), work)
    restore_beside(server, question, expected, size)
    report("clean stop", seconds=server.stop())
    for name in ("warm", "cold"):
        times = []
        for _ in range(options.repeats):
            if name == "cold" and not drop_caches():
                break
            seconds, _, figures = first_answer(server, question, expected)
            times.append(seconds)
            server.stop()
        if times:
            report(f"start after a clean stop, {name}", seconds=statistics.median(times),
                   recovery_ms=int(figures["recovery_ms"]),
                   entries=int(figures["recovery_entries"]))
    for _ in range(1):
        server.start()
        with server.connect() as connection:
            for number in range(1000):
                connection.call("PATCH", "products", expected[0],
                                json.dumps({"$set": {"rating": number % 5}}))
        server.stop(signal.SIGKILL)
        seconds, _, figures = first_answer(server, question, expected)
        report("start after SIGKILL, 1000 writes behind", seconds=seconds,
               recovery_ms=int(figures["recovery_ms"]), entries=int(figures["recovery_entries"]))
    server.stop(signal.SIGKILL)
    if options.rebuild:
        shutil.rmtree(os.path.join(server.data, "snapshots"))
        seconds, _, figures = first_answer(server, question)
        report("start from the log alone (then vectors wait to be linked)", seconds=seconds,
               recovery_ms=int(figures["recovery_ms"]))
        server.stop(signal.SIGKILL)
    begun = time.monotonic()
    run([options.bin, "restore", "full.snap", "--data", "restored"], work)
    seconds = time.monotonic() - begun
    other = Server(options.bin, os.path.join(work, "restored"))
    start, _, figures = first_answer(other, question, expected)
    report("restore from the file alone", seconds=seconds, mb_per_s=size / seconds / 1e6,
           start_seconds=start, snapshot=figures["recovery_snapshot"])
    other.stop(signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--bin", default=str(ROOT / ".build" / "release" / "aisle"))
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rebuild", action="store_true", help="also start from the log alone")
    parser.add_argument("--work", help="a folder to work in; kept")
    options = parser.parse_args()
    work = options.work or tempfile.mkdtemp(prefix="aisle-restart-")
    os.makedirs(work, exist_ok=True)
    try:
        measure(options, work)
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
