"""Vectors over the socket: inserting, recall, processor time and latency of a running server.

    venv/bin/python Benchmarks/vectors/served.py sets/minilm --binary .build/release/aisle

Starts a server of its own with two partitions, writes the set's base vectors through the protocol,
waits until DESCRIBE says that all are linked, and asks its queries for ten hits each: one client on
a Unix socket for the curve, several processes for the rate. Processor time is the server's own, so
the client's language does not matter; latencies hold the client's part. Needs numpy and redis.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import redis

HITS = 10


def read_set(folder):
    folder = pathlib.Path(folder)
    meta = json.loads((folder / "meta.json").read_text())
    width = meta["dimensions"]

    def load(name, kind, columns):
        return np.fromfile(folder / name, kind).reshape(-1, columns)

    return (meta, load("base.f32", "<f4", width), load("query.f32", "<f4", width),
            load("truth.i32", "<i4", 100))


class Server:
    def __init__(self, binary, folder):
        self.socket = os.path.join(folder, "aisle.sock")
        self.process = subprocess.Popen(
            [binary, "serve", "--data", os.path.join(folder, "data"), "--port", "2487", "--unix",
             self.socket, "--partitions", "2", "--log-level", "error"],
            stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline().startswith("ready"):
            sys.exit("the server did not start")

    def connect(self):
        return redis.Redis(unix_socket_path=self.socket, protocol=3)

    def processor_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self):
        """Without the pages of the store's map."""
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
        return 0.0


def insert(server, meta, base, originals):
    db = server.connect()
    before = server.resident_mb()
    schema = {"fields": {"n": {"type": "int", "index": True},
                         "v": {"type": "vector", "dimensions": meta["dimensions"],
                               "metric": meta["metric"],
                               "index": {"kind": "hnsw", "originals": originals}}}}
    db.execute_command("CREATE", "c", json.dumps(schema))
    started = time.monotonic()
    for start in range(0, len(base), 1000):
        pipe = db.pipeline(transaction=False)
        for i in range(start, min(start + 1000, len(base))):
            pipe.execute_command("PUT", "c", str(i), '{"n":%d}' % (i % 1000), "VEC", "v",
                                 base[i].tobytes())
        pipe.execute()
    written = time.monotonic() - started
    while not linked(db):
        time.sleep(0.05)
    return {"written_s": written, "linked_s": time.monotonic() - started,
            "resident_mb": server.resident_mb() - before,
            "index_mb": index_of(db)[b"bytes"] / 1e6}


def index_of(db):
    return next(index for index in db.execute_command("DESCRIBE", "c")[b"indexes"]
                if index[b"field"] == b"v")


def linked(db):
    return index_of(db)[b"state"] == b"ready"


def curve(server, queries, truth, extra, count):
    db = server.connect()
    found, latencies = 0, []
    before = server.processor_seconds()
    for i in range(count):
        at = i % len(queries)
        started = time.perf_counter()
        reply = db.execute_command("SIMILAR", "c", "VEC", queries[at].tobytes(), "K", HITS,
                                   "FIELDS", "_id", *extra)
        latencies.append(time.perf_counter() - started)
        found += len({int(hit[b"id"]) for hit in reply[b"hits"]} & set(truth[at][:HITS]))
    used = server.processor_seconds() - before
    p50, p99 = np.percentile(np.array(latencies) * 1e6, [50, 99])
    return {"recall": found / (count * HITS), "cpu_us": used / count * 1e6, "p50_us": p50,
            "p99_us": p99}


def ask(socket, queries, width, seconds, counts):
    db = redis.Redis(unix_socket_path=socket, protocol=3)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        db.execute_command("SIMILAR", "c", "VEC", queries[count % len(queries)].tobytes(), "K",
                           HITS, "EF", width, "FIELDS", "_id")
        count += 1
    counts.put(count)


def rate(server, queries, width, clients, seconds):
    counts = multiprocessing.Queue()
    workers = [multiprocessing.Process(
        target=ask, args=(server.socket, queries[n::clients], width, seconds, counts))
        for n in range(clients)]
    before = server.processor_seconds()
    for worker in workers:
        worker.start()
    total = sum(counts.get() for _ in workers)
    for worker in workers:
        worker.join()
    used = server.processor_seconds() - before
    return {"clients": clients, "per_s": total / seconds, "cpu_us": used / total * 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", help="a folder that prepare.py made")
    parser.add_argument("--binary", default=".build/release/aisle")
    parser.add_argument("--originals", default="f16", choices=["f16", "f32", "store"])
    parser.add_argument("--efs", default="10,16,24,32,48,64,96,128,200")
    parser.add_argument("--count", type=int, default=2000, help="queries for each setting")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", help="where the figures go")
    options = parser.parse_args()
    meta, base, queries, truth = read_set(options.set)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.binary, folder)
        try:
            inserted = insert(server, meta, base, options.originals)
            figures = {"insert": inserted, "curve": [], "rates": []}
            print(json.dumps(figures["insert"]))
            widths = [int(width) for width in options.efs.split(",")]
            for width in widths:
                row = {"ef": width, **curve(server, queries, truth, ["EF", width], options.count)}
                figures["curve"].append(row)
                print("ef {ef:4} recall {recall:.4f} cpu {cpu_us:5.0f} us p50 {p50_us:5.0f} us "
                      "p99 {p99_us:6.0f} us".format(**row))
            for least in (0.96, 0.99):
                row = next((r for r in figures["curve"] if r["recall"] >= least), None)
                if row is None:
                    continue
                outcome = rate(server, queries, row["ef"], options.clients, options.seconds)
                figures["rates"].append({"recall": row["recall"], **outcome})
                print("recall {recall:.4f}, {clients} clients: {per_s:.0f}/s, cpu {cpu_us:.0f} us"
                      .format(**figures["rates"][-1]))
        finally:
            server.process.terminate()
            server.process.wait(60)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
