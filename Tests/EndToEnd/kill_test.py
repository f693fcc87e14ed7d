"""SIGKILL at random moments under load: no acknowledged write is ever lost or half there.

Goal: after each kill the data is a prefix of what was sent that holds every acknowledged write.
Method: writers on several connections keep a diary of what they sent and what was answered. After
the kill the server opens the same directory and each id is checked against its diary: its content
is the last acknowledged write, or one of those sent after it (sent, not answered). Unique keys are
compared with the documents that hold them. Rounds: $AISLE_KILL_ROUNDS, 10 unless told.
"""

import json
import os
import random
import threading
import time

import pytest

from aisle_resp import Closed, RespError, as_map, encode, find
from aisle_server import run_aisle

ROUNDS = int(os.environ.get("AISLE_KILL_ROUNDS", "10"))
WRITERS = 4
SCHEMA = json.dumps({"fields": {"sku": {"type": "keyword", "unique": True},
                                "n": {"type": "int", "index": True, "sort": True},
                                "pair": {"type": "int", "index": True}}})


class Writer(threading.Thread):
    """Writes ids of its own; `sure` holds what was acknowledged, `perhaps` what was sent since.

    A state is a document's `n`, or None for removed. A pair is written by MULTI: both or neither.
    """

    def __init__(self, server, number, rng, state):
        super().__init__()
        self.server = server
        self.number = number
        self.rng = random.Random(rng.random())
        self.sure, self.perhaps = state
        self.acknowledged = 0
        self.problems = []

    def run(self):
        try:
            with self.server.connect() as db:
                while True:
                    self.batch(db)
        except (Closed, ConnectionError, OSError):
            return

    def batch(self, db):
        commands, changes = [], []
        for _ in range(self.rng.choice([1, 1, 5, 30])):
            number = self.rng.randrange(1 << 40)
            key = f"w{self.number}-{self.rng.randrange(60)}"
            kind = self.rng.random()
            if kind < 0.7:
                commands.append(("PUT", "c", key, json.dumps(
                    {"n": number, "sku": f"{key}:{number % 3}", "pad": "x" * (number % 3000)})))
                changes.append({key: number})
            elif kind < 0.85:
                commands.append(("REMOVE", "c", key))
                changes.append({key: None})
            else:
                left, right = (f"p{self.number}-{side}" for side in "lr")
                commands += [("MULTI",)] + [
                    ("PUT", "c", one, json.dumps({"n": number, "pair": self.number}))
                    for one in (left, right)] + [("EXEC",)]
                changes += [{}, {}, {}, {left: number, right: number}]
        for change in changes:
            for key, value in change.items():
                self.perhaps.setdefault(key, []).append(value)
        # The kill may come anywhere in here: what is read is acknowledged, the rest is not.
        db.send(b"".join(encode(c) for c in commands))
        for change in changes:
            reply = db.read()
            if isinstance(reply, RespError):
                self.problems.append(reply.text)
                continue
            for key, value in change.items():
                self.sure[key] = value
                waiting = self.perhaps[key]
                del waiting[:waiting.index(value) + 1]
                self.acknowledged += 1


class Snapshotter(threading.Thread):
    """Takes one snapshot after the other and drops old ones, until the server is gone."""

    def __init__(self, server, number):
        super().__init__()
        self.server = server
        self.number = number

    def run(self):
        try:
            with self.server.connect() as db:
                for count in range(1_000):
                    db.reply("SNAPSHOT", "CREATE", f"r{self.number}-{count}")
                    time.sleep(0.005)
                    held = [as_map(row)["name"] for row in db.call("SNAPSHOT", "LIST")]
                    for name in held[3:]:
                        db.reply("SNAPSHOT", "DROP", name)
        except (Closed, ConnectionError, OSError):
            return


def check(db, writer):
    """The server's documents against one writer's diary."""
    keys = sorted(set(writer.sure) | set(writer.perhaps))
    documents = []
    for start in range(0, len(keys), 500):
        documents += db.call("MFETCH", "c", *keys[start:start + 500])
    for key, text in zip(keys, documents):
        document = None if text is None else json.loads(text)
        value = None if document is None else document["n"]
        allowed = [writer.sure.get(key), *writer.perhaps.get(key, [])]
        assert value in allowed, f"{key}: found {value}, allowed {allowed}"
        if document and "pad" in document:
            assert len(document["pad"]) == value % 3000, f"{key} is half there"
        writer.sure[key] = value
        writer.perhaps[key] = []
    left, right = (writer.sure.get(f"p{writer.number}-{side}") for side in "lr")
    assert left == right, f"half a transaction: {left} {right}"


def check_indexes(db):
    """Heads, columns and unique keys agree with the documents."""
    total = db.call("COUNT", "c", "{}")
    lines = []
    reply = as_map(db.call("EXPORT", "c"))
    while True:
        lines += reply["chunk"].splitlines()
        if not reply.get("cursor"):
            break
        reply = as_map(db.call("MORE", reply["cursor"]))
    assert len(lines) == total
    documents = [json.loads(line) for line in lines]
    documents = [d.get("doc", d) if isinstance(d.get("doc"), dict) else d for d in documents]
    skus = [d["sku"] for d in documents if "sku" in d]
    assert len(skus) == len(set(skus)), "a unique key is held twice"
    assert db.call("COUNT", "c", '{"n":{"$gte":0}}') == total
    for document in random.sample(documents, min(10, len(documents))):
        holders = find(db, "c", json.dumps({"n": document["n"]})).hits
        assert document["n"] in [json.loads(h["doc"])["n"] for h in holders]
        if "sku" in document:
            assert db.code("PUT", "c", "thief", json.dumps({"sku": document["sku"]})) == "DUPLICATE"
    assert db.call("FETCH", "c", "thief") is None
    # A key that nobody holds is free.
    db.call("PUT", "c", "free", '{"sku":"free"}')
    assert db.call("REMOVE", "c", "free") == 1


@pytest.mark.slow
@pytest.mark.parametrize("snapshots", [False, True], ids=["log", "snapshots"])
def test_sigkill_never_loses_an_acknowledged_write(own_server, seed, snapshots):
    rng = random.Random(seed)
    server = own_server("--shards", "2", "--retention", "2s")
    with server.connect() as db:
        db.call("CREATE", "c", SCHEMA)
    states = [({}, {}) for _ in range(WRITERS)]
    acknowledged = loaded = 0
    for number in range(ROUNDS):
        writers = [Writer(server, n, rng, states[n]) for n in range(WRITERS)]
        others = [Snapshotter(server, number)] if snapshots else []
        for thread in writers + others:
            thread.start()
        time.sleep(rng.choice([0.02, 0.1, 0.3, 0.7]) * rng.random() + 0.01)
        server.kill()
        for thread in others:
            thread.join()
        for writer in writers:
            writer.join()
            assert not writer.problems, writer.problems[:3]
            acknowledged += writer.acknowledged
        if number % 5 == 4:
            done = run_aisle("verify", "--data", server.data)
            assert done.returncode == 0, f"round {number}: {done.stdout} {done.stderr}"
        server.start()
        with server.connect(3) as db:
            for writer in writers:
                check(db, writer)
            check_indexes(db)
            loaded += "recovery_snapshot:r" in db.call("INFO", "storage")
    assert acknowledged > ROUNDS, "the writers did nothing"
    assert not snapshots or loaded > ROUNDS / 4, "hardly a start had a snapshot"
    print(f"{ROUNDS} kills, {acknowledged} acknowledged writes, none lost")
    server.stop()
    assert run_aisle("verify", "--data", server.data).returncode == 0
