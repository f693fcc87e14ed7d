"""SIGKILL in every phase of snapshots, restores, trimming, stops and starts: nothing is lost.

Goal: whenever the process ends, the next start has what was acknowledged, or for a restore what
was there before or what the snapshot holds, whole; every file under a final name is whole.
Method: a model of all documents beside the server. A phase is begun, and ended by SIGKILL after a
random part of the time that it takes undisturbed; some starts are killed as well before one is
left alone. Then documents and answers by nearness are compared with the model.

$AISLE_SNAPSHOT_KILLS kills, one for each phase unless told. The soak runs for
$AISLE_SOAK_MINUTES minutes and is left out without: writes, lookups, automatic snapshots and kills
all at the same time.
"""

import collections
import hashlib
import json
import os
import random
import signal
import threading
import time

import pytest

from aisle_resp import Closed, RespError, as_map, encode
from aisle_server import PATIENCE, run_aisle
from kill_test import SCHEMA as WRITER_SCHEMA
from kill_test import Writer, check, check_indexes

PHASES = ["snapshot", "restore", "beside", "trim", "clean", "reshard", "stop", "start"]
KILLS = int(os.environ.get("AISLE_SNAPSHOT_KILLS", str(len(PHASES))))
SOAK_MINUTES = float(os.environ.get("AISLE_SOAK_MINUTES", "0"))
OPTIONS = ("--partitions", "3", "--shards", "2", "--retention", "1s", "--snapshot-every", "0s")
SCHEMA = json.dumps({"fields": {
    "n": {"type": "int", "index": True, "sort": True},
    "k": {"type": "keyword", "index": True, "facet": True},
    "v": {"type": "vector", "dimensions": 8, "metric": "l2", "index": {"kind": "flat"}}}})
IDS = 900


class Model:
    """What must be there: by id the document and its vector."""

    def __init__(self, rng):
        self.rng = rng
        self.documents = {}

    def change(self, connection, count):
        """Some acknowledged writes."""
        commands = []
        for _ in range(count):
            key = f"d{self.rng.randrange(IDS)}"
            if self.rng.random() < 0.15:
                commands.append(("REMOVE", "c", key))
                self.documents.pop(key, None)
                continue
            document = {"n": self.rng.randrange(1 << 30), "k": f"k{self.rng.randrange(7)}",
                        "pad": "x" * self.rng.randrange(1500)}
            vector = [self.rng.randrange(200) for _ in range(8)]
            commands.append(("PUT", "c", key, json.dumps({**document, "v": vector})))
            self.documents[key] = (document, vector)
        for reply in connection.pipeline(commands):
            assert not isinstance(reply, RespError), reply.text

    def digest(self):
        return content_hash({key: document for key, (document, _) in self.documents.items()})


def content_hash(documents):
    lines = sorted(f"{key} {json.dumps(one, sort_keys=True)}" for key, one in documents.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def exported(connection, name):
    """All documents of a collection by id."""
    found = {}
    reply = as_map(connection.call("EXPORT", name, "META"))
    while True:
        for line in reply["chunk"].splitlines():
            row = json.loads(line)
            found[row["id"]] = row["doc"]
        if not reply.get("cursor"):
            return found
        reply = as_map(connection.call("MORE", reply["cursor"]))


def same_as(connection, documents, digest, name="c"):
    """Whether a collection is a model's, by its documents and by nearness."""
    if content_hash(exported(connection, name)) != digest:
        return False
    assert connection.call("COUNT", name, "{}") == len(documents)
    for point in ([0] * 8, [100] * 8, list(range(0, 200, 25))):
        expected = sorted(
            sum((a - b) ** 2 for a, b in zip(vector, point))
            for _, vector in documents.values())[:5]
        hits = as_map(connection.call("SIMILAR", name, "VEC", json.dumps(point), "K", "5"))["hits"]
        found = [sum((a - b) ** 2 for a, b in zip(documents[as_map(hit)["id"]][1], point))
                 for hit in hits]
        assert found == expected, f"nearest to {point}"
    return True


class Matrix:
    """One server and its model, through all phases."""

    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.model = Model(rng)
        self.saved = {}
        self.durations = {}
        self.seen = collections.Counter()
        self.number = 0
        self.connection = server.connect()
        self.connection.call("CREATE", "c", SCHEMA)
        self.model.change(self.connection, 1_200)
        self.save()

    # -- what a phase does

    def save(self):
        """A snapshot of a moment that the model knows."""
        self.number += 1
        name = f"base{self.number}"
        self.wait(self.connection.call("SNAPSHOT", "CREATE", name))
        self.saved = {**dict(list(self.saved.items())[-1:]), name: dict(self.model.documents)}
        for row in map(as_map, self.connection.call("SNAPSHOT", "LIST")):
            if row["name"].startswith("base") and row["name"] not in self.saved:
                self.wait(self.connection.call("SNAPSHOT", "DROP", row["name"]))

    def wait(self, job):
        deadline = time.monotonic() + 60 * PATIENCE
        while time.monotonic() < deadline:
            row = next(one for one in map(as_map, self.connection.call("JOBS"))
                       if one["id"] == job)
            if row["state"] != "running":
                assert row["state"] == "done", row["text"]
                return
            time.sleep(0.002)
        raise AssertionError("a job does not end")

    def begin(self, phase):
        """Begins what is to be killed; answers what waits for its end."""
        self.number += 1
        call = self.connection.call
        if phase == "snapshot":
            job = call("SNAPSHOT", "CREATE", f"k{self.number}")
        elif phase == "restore":
            job = call("SNAPSHOT", "RESTORE", list(self.saved)[-1])
        elif phase == "beside":
            job = call("SNAPSHOT", "RESTORE", list(self.saved)[0], "AS", f"c{self.number}",
                       "ONLY", "c")
        elif phase == "clean":
            call("CREATE", "gone", SCHEMA)
            for reply in self.connection.pipeline(
                    [("PUT", "gone", f"g{n}", '{"n":1}') for n in range(1_500)]):
                assert not isinstance(reply, RespError)
            call("DROP", "gone")
            job = None
        elif phase == "trim":
            # Older than the retention time, and held by neither of the two newest snapshots: it
            # is trimmed while nothing else happens.
            self.model.change(self.connection, 900)
            self.save()
            self.save()
            time.sleep(0.95)
            job = None
        elif phase == "reshard":
            job = call("RESHARD", str(self.rng.choice([1, 2, 3, 5])))
        else:
            job = None
        return lambda: self.wait(job) if job is not None else time.sleep(0.3)

    def took(self, phase):
        """How long a phase takes undisturbed, measured once."""
        if phase not in self.durations:
            if phase == "start":
                self.server.kill()
                began = time.monotonic()
                self.server.start()
            elif phase == "stop":
                began = time.monotonic()
                assert self.server.stop() == 0
                self.durations[phase] = time.monotonic() - began
                self.server.start()
            else:
                end = self.begin(phase)
                began = time.monotonic()
                end()
            self.durations.setdefault(phase, time.monotonic() - began)
            if phase in ("start", "stop"):
                self.connection = self.server.connect()
            if phase == "restore":
                self.model.documents = dict(list(self.saved.values())[-1])
            self.tidy()
        return self.durations[phase]

    def tidy(self):
        for name in self.names():
            if name != "c":
                self.connection.call("DROP", name)

    def names(self):
        return [as_map(row)["name"] for row in self.connection.call("COLLECTIONS")]

    # -- one kill

    def round(self, phase):
        duration = self.took(phase)
        self.model.change(self.connection, 150)
        before = dict(self.model.documents)
        if phase == "start":
            self.server.kill()
            self.server.start(expect_ready=False)
        elif phase == "stop":
            self.server.process.send_signal(signal.SIGTERM)
        else:
            self.begin(phase)
            before = dict(self.model.documents)
        time.sleep(duration * self.rng.random() * 1.1)
        folder = os.path.join(self.server.data, "snapshots")
        half = any(name.endswith(".new") for name in os.listdir(folder))
        self.server.kill()
        self.seen[phase + (", half a file" if half else "")] += 1
        for _ in range(self.rng.randrange(3)):
            self.server.start(expect_ready=False)
            time.sleep(self.durations.get("start", 0.3) * self.rng.random())
            self.server.kill()
            self.seen["start"] += 1
        self.server.start()
        self.connection = self.server.connect()
        self.compare(phase, before)

    def compare(self, phase, before):
        allowed = [before]
        if phase == "restore":
            allowed.append(list(self.saved.values())[-1])
        for documents in allowed:
            self.model.documents = dict(documents)
            if same_as(self.connection, documents, self.model.digest()):
                break
        else:
            raise AssertionError(f"the content is none of the model's after {phase}")
        for name in self.names():
            if name in ("c", "gone"):
                continue
            documents = list(self.saved.values())[0]
            digest = content_hash({key: one for key, (one, _) in documents.items()})
            assert same_as(self.connection, documents, digest, name), "half a collection is there"
        self.tidy()
        folder = os.path.join(self.server.data, "snapshots")
        assert not [name for name in os.listdir(folder) if not name.endswith(".snap")]
        states = [as_map(row) for row in self.connection.call("SNAPSHOT", "LIST")]
        assert all(row["state"] == "ok" for row in states), states


def verified(server):
    """Every snapshot and the log are whole. The server is stopped for it."""
    assert server.stop() == 0, server.log_tail()
    report = run_aisle("verify", "--data", server.data)
    assert report.returncode == 0, report.stdout
    folder = os.path.join(server.data, "snapshots")
    for name in os.listdir(folder):
        report = run_aisle("snapshot", "verify", "--file", os.path.join(folder, name))
        assert report.returncode == 0, report.stderr


@pytest.mark.slow
def test_kills_in_every_phase_of_snapshots(own_server, seed):
    rng = random.Random(seed)
    server = own_server(*OPTIONS)
    matrix = Matrix(server, rng)
    for number in range(KILLS):
        matrix.round(PHASES[number % len(PHASES)])
        if number % 16 == 15:
            verified(server)
            server.start()
            matrix.connection = server.connect()
            matrix.save()
    verified(server)
    print(f"{sum(matrix.seen.values())} kills: {dict(sorted(matrix.seen.items()))}")
    print("undisturbed, s:", {name: round(took, 3) for name, took in matrix.durations.items()})


class Reader(threading.Thread):
    """Lookups until the server is gone: each answer is well-formed and says what it must."""

    def __init__(self, server):
        super().__init__()
        self.server, self.answered, self.problems = server, 0, []

    def run(self):
        try:
            with self.server.connect() as db:
                while True:
                    total = db.call("COUNT", "c", '{"n":{"$gte":0}}')
                    hits = as_map(db.call("FIND", "c", "{}", "SORT", "n", "LIMIT", "50"))["hits"]
                    values = [json.loads(as_map(hit)["doc"])["n"] for hit in hits]
                    if values != sorted(values) or len(values) > max(total, 50):
                        self.problems.append(f"{total}: {values}")
                    self.answered += 1
        except (Closed, ConnectionError, OSError, RespError):
            return


def memory_bytes(server):
    """Memory of its own: pages of the log's file, which the system maps, are not counted."""
    with open(f"/proc/{server.process.pid}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon"))


@pytest.mark.slow
@pytest.mark.skipif(SOAK_MINUTES == 0, reason="for as long as $AISLE_SOAK_MINUTES says")
def test_soak_of_snapshots(own_server, seed):
    rng = random.Random(seed)
    server = own_server("--shards", "2", "--retention", "2s", "--snapshot-every", "2s",
                        "--snapshot-keep", "3")
    with server.connect() as db:
        db.call("CREATE", "c", WRITER_SCHEMA)
    states = [({}, {}) for _ in range(3)]
    end = time.monotonic() + SOAK_MINUTES * 60
    figures = collections.Counter()
    memory, files = [], []
    while time.monotonic() < end:
        writers = [Writer(server, n, rng, states[n]) for n in range(3)]
        readers = [Reader(server) for _ in range(2)]
        for thread in writers + readers:
            thread.start()
        time.sleep(rng.choice([0.3, 2, 6]) * (0.2 + rng.random()))
        memory.append(memory_bytes(server))
        with server.connect() as db:
            lines = dict(line.split(":", 1) for line in db.call("INFO").splitlines()
                         if ":" in line)
        figures["snapshots"] += int(lines["snapshots_taken"])
        assert int(lines["snapshots_failed"]) == 0, lines
        files.append(int(lines["log_file_bytes"]))
        server.kill()
        figures["kills"] += 1
        for thread in writers + readers:
            thread.join()
            assert not thread.problems, thread.problems[:3]
        figures["writes"] += sum(writer.acknowledged for writer in writers)
        figures["lookups"] += sum(reader.answered for reader in readers)
        if figures["kills"] % 10 == 0:
            report = run_aisle("verify", "--data", server.data)
            assert report.returncode == 0, report.stdout
        server.start()
        with server.connect(3) as db:
            for writer in writers:
                check(db, writer)
            check_indexes(db)
            figures["from a snapshot"] += "recovery_snapshot:auto" in db.call("INFO", "storage")
    verified(server)
    step = max(1, len(memory) // 12)
    print(f"{dict(figures)}; MiB of memory {[one >> 20 for one in memory[::step]]}, "
          f"of the log {[one >> 20 for one in files[::step]]}")
    assert figures["snapshots"] > 0 and figures["from a snapshot"] > 0, figures
    half = len(memory) // 2
    if half >= 5:
        # The same few hundred documents all the time.
        assert max(memory[half:]) < 1.5 * max(memory[:half]) + (32 << 20), memory
        assert max(files[half:]) < 1.5 * max(files[:half]) + (8 << 20), files
