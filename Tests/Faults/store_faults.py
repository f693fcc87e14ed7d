#!/usr/bin/env python3
"""Runs the store on a disk that fails, and checks that nothing acknowledged is ever lost.

Goal: power cuts, failed and short writes, failed syncs and full disks at any moment leave a store
that opens, verifies, and holds every acknowledged commit, whole, and at most one that was not.

Method: StoreDriver fills a store under the faultdisk library with one random fault per run, several
runs per directory so that faults also meet stores that are full of freed pages; after every run the
driver checks the directory without the library. Every run is a function of its seed.

Usage: store_faults.py --driver PATH [--runs N] [--seed S] [--keep]
Exit status 0 when every check held, 1 otherwise; failing directories are kept.
"""

import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
EIO, ENOSPC, EDQUOT = 5, 28, 122


def build_library(directory):
    target = directory / "libfaultdisk.so"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    source = ROOT / "Tools" / "faultdisk" / "faultdisk.c"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", target, source, "-ldl", "-lpthread"], check=True
    )
    return target


def choose_fault(rng, counts):
    """An environment for the library, and a name for the table of results."""
    name = rng.choice(
        ["cut-write", "cut-sync", "cut-dsync", "cut-any", "enospc-budget", "enospc-write",
         "eio-write", "short-write", "eio-sync", "enospc-sync", "eio-dsync", "eio-then-cut", "none"]
    )

    def at(kind):
        return rng.randint(1, max(1, counts.get(kind, 50)))

    if name.startswith("cut-"):
        kind = name[4:]
        return name, {"FAULTDISK_CUT": f"{kind}:{at(kind)}",
                      "FAULTDISK_LOSE": str(rng.choice([5, 50, 95, 100]))}
    if name == "enospc-budget":
        return name, {"FAULTDISK_BUDGET": str(rng.randint(0, 600_000))}
    if name == "enospc-write":
        return name, {"FAULTDISK_FAIL": f"write:{at('write')}:{rng.choice([ENOSPC, EDQUOT])}"}
    if name == "eio-write":
        return name, {"FAULTDISK_FAIL": f"write:{at('write')}:{EIO}:{rng.randint(1, 3)}"}
    if name == "short-write":
        return name, {"FAULTDISK_FAIL": f"write:{at('write')}:0"}
    if name == "eio-sync":
        return name, {"FAULTDISK_FAIL": f"sync:{at('sync')}:{EIO}"}
    if name == "enospc-sync":
        n = at("sync")
        return name, {"FAULTDISK_FAIL": f"sync:{n}:{ENOSPC}",
                      "FAULTDISK_CUT": f"any:{rng.randint(1, max(1, counts.get('any', 50)))}"}
    if name == "eio-dsync":
        return name, {"FAULTDISK_FAIL": f"dsync:{at('dsync')}:{EIO}:{rng.randint(1, 2)}"}
    if name == "eio-then-cut":
        n = at("sync")
        return name, {"FAULTDISK_FAIL": f"sync:{n}:{EIO}", "FAULTDISK_CUT": f"sync:{n + 1}"}
    return name, {}


def run(arguments, environment=None):
    done = subprocess.run(
        arguments, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=120, check=False
    )
    return done.returncode, done.stdout.decode(errors="replace")


class Suite:
    def __init__(self, driver, library, scratch, seed):
        self.driver, self.library, self.scratch, self.seed = driver, library, scratch, seed
        self.results, self.failures = {}, []

    def life(self, number):
        """One directory: several faulty runs, each followed by a check."""
        rng = random.Random(self.seed * 1_000_003 + number)
        directory = self.scratch / f"store-{number}"
        acknowledged, counts, ran = 0, {}, 0
        for _ in range(rng.randint(1, 6)):
            name, fault = choose_fault(rng, counts)
            log = self.scratch / "counts"
            environment = {
                "LD_PRELOAD": str(self.library), "FAULTDISK_DIR": str(directory),
                "FAULTDISK_SEED": str(rng.randrange(1, 1 << 60)), "FAULTDISK_LOG": str(log),
                **fault,
            }
            compacts = acknowledged > 0 and rng.random() < 0.15
            command = (["compact", str(directory)] if compacts
                       else ["append", str(directory), "7", str(rng.randint(5, 80))])
            status, output = run([self.driver, *command], environment)
            for line in output.splitlines():
                if line.startswith("ack "):
                    acknowledged = int(line.split()[1])
            if log.exists():
                counts = {k: int(v) for k, v in (l.split() for l in log.read_text().splitlines())}
            label = ("compact " if compacts else "") + name
            ran += 1
            self.results[label] = self.results.get(label, 0) + 1
            expected = {0, 3, 137}
            found, said = run([self.driver, "check", str(directory), "7", str(acknowledged)])
            if status not in expected or found != 0:
                self.failures.append((number, label, fault, status, output[-300:], found, said))
                return ran
            acknowledged = self.newest(directory, acknowledged)
        shutil.rmtree(directory, ignore_errors=True)
        return ran

    def newest(self, directory, acknowledged):
        """A commit that was never acknowledged may be there all the same: from now on it counts."""
        status, _ = run([self.driver, "check", str(directory), "7", str(acknowledged + 1)])
        return acknowledged + 1 if status == 0 else acknowledged


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--driver", required=True, help="the StoreDriver executable")
    parser.add_argument("--runs", type=int, default=300, help="faulty runs (default 300)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--keep", action="store_true", help="keep the scratch directory")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="aisle-faults-"))
    suite = Suite(options.driver, build_library(scratch), scratch, options.seed)
    ran = number = 0
    while ran < options.runs and len(suite.failures) < 5:
        ran += suite.life(number)
        number += 1
    for label, count in sorted(suite.results.items()):
        print(f"  {label}: {count}")
    for failure in suite.failures:
        print("FAILED directory %d, %s %s\n  driver %d: %s\n  check %d: %s" % failure)
    failed = len(suite.failures)
    if options.keep:
        print(f"kept {scratch}")
    else:
        shutil.rmtree(scratch)
        if failed:
            print(f"to look at the directories: --keep --seed {options.seed}")
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
