#!/usr/bin/env python3
"""Runs snapshots and restores of a server on a disk that fails.

Goal: power cuts, failed and short writes and syncs, full disks and refused permissions at any
moment of a snapshot, a restore, a stop or a start leave under a snapshot's final name a whole file
or none; the next start has what was acknowledged, or for a restore the old or the new content.

Method: each run fills a directory on a good disk, takes a snapshot, writes on; then serves it under
the faultdisk library with one random fault, in half of the runs for the files of snapshots alone;
then checks files and content without the library. Every run is a function of its seed.

Usage: snapshot_faults.py [--runs N] [--seed S] [--keep]; the server is $AISLE_BIN.
Exit status 0 when every check held, 1 otherwise; failing directories are kept.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests" / "EndToEnd"), str(ROOT / "Tests" / "Faults")]

from aisle_resp import Closed, RespError, as_map  # noqa: E402
from aisle_server import PATIENCE, Server, run_aisle  # noqa: E402
from store_faults import EIO, ENOSPC, build_library  # noqa: E402

EACCES = 13
SCHEMA = ('{"fields":{"n":{"type":"int","index":true,"sort":true},"v":{"type":"vector",'
          '"dimensions":4,"metric":"l2","index":{"kind":"hnsw"}}}}')
OPTIONS = ("--partitions", "2", "--shards", "1", "--snapshot-every", "0s")
ACTIONS = ["create", "create", "restore", "beside", "stop", "cli"]
FAULTS = ["none", "cut-write", "cut-sync", "cut-dsync", "cut-any", "budget", "enospc-write",
          "eio-write", "short-write", "eio-sync", "eacces-write", "eacces-open"]


def choose_fault(rng, counts):
    """A name for the table of results, and an environment for the library."""
    name = rng.choice(FAULTS)

    def at(kind):
        return rng.randint(1, max(1, counts.get(kind, 20)))

    if name.startswith("cut-"):
        kind = name[4:]
        return name, {"FAULTDISK_CUT": f"{kind}:{at(kind)}",
                      "FAULTDISK_LOSE": str(rng.choice([5, 50, 95, 100]))}
    if name == "budget":
        return name, {"FAULTDISK_BUDGET": str(rng.randint(0, 200_000))}
    code, kind = {"enospc-write": (ENOSPC, "write"), "eio-write": (EIO, "write"),
                  "short-write": (0, "write"), "eio-sync": (EIO, "sync"),
                  "eacces-write": (EACCES, "write"), "eacces-open": (EACCES, "open"),
                  "none": (0, "")}[name]
    if not kind:
        return name, {}
    return name, {"FAULTDISK_FAIL": f"{kind}:{at(kind)}:{code}:{rng.randint(1, 3)}"}


def document(number):
    return json.dumps({"n": number, "v": [number % 7, number % 11, number % 13, 1],
                       "pad": "x" * (number % 700)})


class Run:
    """One directory through one fault."""

    def __init__(self, directory, library, rng, counts):
        self.directory, self.library, self.rng, self.counts = directory, library, rng, counts
        self.data = str(directory / "data")
        #: By id the number of its document, as acknowledged; and what was sent besides.
        self.sure, self.saved, self.perhaps = {}, {}, {}
        self.restored = False

    def write(self, connection, count):
        for _ in range(count):
            key, number = f"d{self.rng.randrange(150)}", self.rng.randrange(1 << 30)
            removes = self.rng.random() < 0.2
            value = None if removes else number
            self.perhaps.setdefault(key, set()).add(value)
            reply = (connection.reply("REMOVE", "c", key) if removes
                     else connection.reply("PUT", "c", key, document(number)))
            if not isinstance(reply, RespError):
                self.sure[key] = value
                self.perhaps.pop(key)

    def wait(self, connection, job):
        """The job's state in the end."""
        deadline = time.monotonic() + 90 * PATIENCE
        while time.monotonic() < deadline:
            for row in map(as_map, connection.call("JOBS")):
                if row["id"] == job and row["state"] != "running":
                    return row["state"]
            time.sleep(0.005)
        raise AssertionError("a job does not end")

    def prepare(self):
        server = Server(self.data, *OPTIONS).start()
        try:
            with server.connect() as connection:
                connection.call("CREATE", "c", SCHEMA)
                self.write(connection, 120)
                job = connection.call("SNAPSHOT", "CREATE", "base")
                assert self.wait(connection, job) == "done"
                self.saved = dict(self.sure)
                self.write(connection, 60)
        finally:
            server.kill()

    def go(self, action, fault, only_snapshots):
        """Serves under the fault. Answers how it ended."""
        log = self.directory / "counts"
        place = self.data + "/snapshots" if only_snapshots else self.data
        environment = {"LD_PRELOAD": str(self.library), "FAULTDISK_DIR": place,
                       "FAULTDISK_SEED": str(self.rng.randrange(1, 1 << 60)),
                       "FAULTDISK_LOG": str(log), **fault}
        if action == "cli":
            return self.go_cli({**environment, "FAULTDISK_DIR": str(self.directory)})
        server = Server(self.data, *OPTIONS, env=environment)
        try:
            try:
                server.start()
            except RuntimeError as error:
                status = server.process.returncode
                assert status in (1, 2, 3, 137), f"at the start: {status} {error}"
                return "no start"
            try:
                self.act(action, server)
            except (Closed, ConnectionError, OSError):
                pass
            status = server.stop(60)
            assert status in (0, 1, 3, 137), f"status {status}: {server.log_tail(800)}"
        finally:
            server.kill()
        if log.exists():
            self.counts.update({k: int(v) for k, v in
                                (line.split() for line in log.read_text().splitlines())})
        return "power cut" if status == 137 else "served"

    def act(self, action, server):
        with server.connect() as connection:
            self.write(connection, 10)
            if action == "create":
                self.wait(connection, connection.call("SNAPSHOT", "CREATE", "more"))
            elif action == "restore":
                self.restored = True
                if self.wait(connection, connection.call("SNAPSHOT", "RESTORE", "base")) == "done":
                    self.sure, self.perhaps = dict(self.saved), {}
                    self.restored = False
                else:
                    self.restored = False
            elif action == "beside":
                self.wait(connection, connection.call(
                    "SNAPSHOT", "RESTORE", "base", "AS", "c2", "ONLY", "c"))
            self.write(connection, 10)

    def go_cli(self, environment):
        """`aisle restore` under the fault: the new directory is whole or not there."""
        base, target = self.data + "/snapshots/base.snap", str(self.directory / "copy")
        done = run_aisle("restore", base, "--data", target, env=environment)
        assert done.returncode in (0, 1, 3, 137), f"restore ended with {done.returncode}"
        assert os.path.isdir(target) or done.returncode != 0, "it said done"
        if os.path.isdir(target):
            self.compare(target, [(self.saved, {})])
        return "restored" if done.returncode == 0 else "not restored"

    def check(self):
        folder = pathlib.Path(self.data) / "snapshots"
        for path in folder.glob("*.snap"):
            done = run_aisle("snapshot", "verify", "--file", path)
            assert done.returncode == 0, f"{path.name}: {done.stderr[-200:]}"
        assert (folder / "base.snap").exists(), "an old snapshot is gone"
        allowed = [(self.sure, self.perhaps)]
        if self.restored: # Nobody knows how far it came.
            allowed.append((self.saved, {}))
        self.compare(self.data, allowed)
        done = run_aisle("verify", "--data", self.data)
        assert done.returncode == 0, f"verify: {done.stdout[-300:]}"

    def compare(self, data, allowed):
        server = Server(data, *OPTIONS).start()
        try:
            with server.connect() as connection:
                keys = [f"d{number}" for number in range(150)]
                texts = connection.call("MFETCH", "c", *keys)
                found = {key: json.loads(text)["n"] if text else None
                         for key, text in zip(keys, texts)}
                assert any(
                    all(found[key] in {sure.get(key), *perhaps.get(key, ())} for key in keys)
                    for sure, perhaps in allowed), "the content is another one"
                present = sum(value is not None for value in found.values())
                assert connection.call("COUNT", "c", '{"n":{"$gte":0}}') == present
                hits = as_map(connection.call("SIMILAR", "c", "VEC", "[1,1,1,1]", "K", "200"))
                assert len(hits["hits"]) == present, "vectors are missing"
                names = {as_map(row)["name"]: as_map(row)["documents"]
                         for row in connection.call("COLLECTIONS")}
                beside = sum(value is not None for value in self.saved.values())
                assert names.get("c2", beside) == beside, "half a collection is there"
                assert not [name for name in os.listdir(data + "/snapshots")
                            if not name.endswith(".snap")]
        finally:
            server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=60, help="faulty runs (default 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--keep", action="store_true", help="keep the scratch directory")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="aisle-snapshot-faults-"))
    library = build_library(scratch)
    results, failures = collections.Counter(), []
    counts = {True: {}, False: {}}
    for number in range(options.runs):
        rng = random.Random(options.seed * 1_000_003 + number)
        directory = scratch / f"run-{number}"
        directory.mkdir()
        action, only = rng.choice(ACTIONS), rng.random() < 0.5
        run = Run(directory, library, rng, counts[only])
        name, fault = choose_fault(rng, run.counts)
        label = f"{action} {name}{' snapshots' if only else ''}"
        try:
            run.prepare()
            results[f"{label}: {run.go(action, fault, only)}"] += 1
            run.check()
            shutil.rmtree(directory, ignore_errors=True)
        except Exception as error:  # pylint: disable=broad-except
            failures.append(f"run {number}, {label} {fault}: {type(error).__name__} {error}")
            if len(failures) == 5:
                break
    for label, count in sorted(results.items()):
        print(f"  {label}: {count}")
    for failure in failures:
        print(f"FAILED {failure}")
    if options.keep or failures:
        print(f"kept {scratch}; again with --seed {options.seed}")
    else:
        shutil.rmtree(scratch)
    print(f"{number + 1 - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
