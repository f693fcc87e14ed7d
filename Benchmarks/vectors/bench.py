"""Measures vector indexes against each other in one run: same vectors, same thread count.

    python bench.py DATA --ours PATH/TO/vector-bench --out results

Every index lives in a process of its own; the driver asks them in turn, setting by setting and
round by round, so that a busy moment of the machine hits all alike, and takes medians. Recall is
judged here, by one oracle for all. See README.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy as np

import figures
import plot
import scenarios

EFS = "10,12,16,20,24,32,40,48,64,80,96,128,160,200,256,320,400,512,640,800"
PEERS = "hnswlib,faiss,faiss-sq8,usearch-f16"
OURS = "aisle-int8,aisle-f16,aisle-f32"


class Worker:
    """One index in its own process."""

    def __init__(self, name, command, scratch):
        self.name = name
        self.command = command
        self.scratch = scratch
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.built = self.read()

    def read(self):
        """The next line the worker prints."""
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, **command):
        """Sends a command and returns the answer."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self.read()

    def search(self, k, ef, **more):
        """(answer, ids as queries x k), or None where the index cannot do it.

        The answer's `rate` is queries per second of processor time: on a quiet machine the same as
        by the clock, and on a busy one what a quiet one would show, nearly.
        """
        path = os.path.join(self.scratch, f"{self.name}.ids")
        answer = self.ask(op="search", k=k, ef=ef, ids=path, **more)
        if answer.get("unsupported"):
            return None
        answer["rate"] = answer["queries"] / max(statistics.median(answer["cpu_seconds"]), 1e-9)
        return answer, np.fromfile(path, "<i4").reshape(-1, k)

    def twin(self):
        """Another worker with the same index, built afresh."""
        return Worker(self.name + "-fresh", self.command, self.scratch)

    def end(self):
        """Closes the input and waits for the process."""
        self.process.stdin.close()
        self.process.wait()


class Set:
    """One prepared set of vectors."""

    def __init__(self, folder):
        with open(os.path.join(folder, "meta.json"), encoding="utf-8") as file:
            self.meta = json.load(file)
        self.folder = folder
        self.name = os.path.basename(os.path.normpath(folder))
        self.metric = self.meta["metric"]
        width = self.meta["dimensions"]
        self.base = np.fromfile(os.path.join(folder, "base.f32"), "<f4").reshape(-1, width)
        self.query = np.fromfile(os.path.join(folder, "query.f32"), "<f4").reshape(-1, width)
        shape = (len(self.query), -1)
        self.distance = np.fromfile(os.path.join(folder, "distance.f32"), "<f4").reshape(shape)
        self.category = np.fromfile(os.path.join(folder, "category.i32"), "<i4")
        self.querycat = np.fromfile(os.path.join(folder, "querycat.i32"), "<i4")

    def recall(self, found, k):
        """Recall of answers to all queries on the whole base."""
        return figures.recall(found, self.base, self.query, self.distance, self.metric, k)


def start(options, data, scratch):
    """Starts the workers one after the other (building takes the machine's attention)."""
    workers = []
    for name in options.peers:
        command = [sys.executable, os.path.join(os.path.dirname(__file__), "peers.py")]
        command += [name, data.folder]
        if options.cache:
            command += ["--cache", options.cache]
        workers.append(Worker(name, command, scratch))
        print(name, workers[-1].built, flush=True)
    for name in options.ours if options.binary else []:
        workers.append(Worker(name, [options.binary, name, data.folder], scratch))
        print(name, workers[-1].built, flush=True)
    return workers


def measure_curves(options, data, workers):
    """Recall and rate of each index at each ef; the indexes take turns."""
    taken = {}
    for worker in workers:
        # Touches what a first search alone would pay for.
        worker.search(options.k, options.efs[len(options.efs) // 2])
    for turn in range(options.rounds):
        for ef in options.efs:
            for worker in workers:
                last = turn == options.rounds - 1
                answer, found = worker.search(options.k, ef, latency=last, least=0.1)
                point = taken.setdefault((worker.name, ef), {"ef": ef, "cpu": []})
                point["cpu"] += answer["cpu_seconds"]
                if turn == 0:
                    point["recall"] = data.recall(found, options.k)
                for key in ("p50_us", "p99_us", "call_us"):
                    if key in answer:
                        point[key] = answer[key]
    curves = {worker.name: [] for worker in workers}
    for (name, _), point in taken.items():
        point["rate"] = len(data.query) / statistics.median(point.pop("cpu"))
        curves[name].append(point)
    return curves


def run_set(options, name, scratch):
    """Measures one set and writes its plot; returns (results, report text)."""
    data = Set(os.path.join(options.data, name))
    workers = start(options, data, scratch)
    results = {"meta": data.meta, "built": {w.name: w.built for w in workers}}
    text = [f"## {name}", "", data.meta["origin"] + ".", ""]
    try:
        if "curve" in options.sections:
            curves = measure_curves(options, data, workers)
            results["curves"] = curves
            lines, rates = figures.summary(curves, results["built"])
            results["rates"] = rates
            text += [lines, "", f"![recall and rate]({name}.svg)", ""]
            plot.curves(
                os.path.join(options.out, f"{name}.svg"),
                f"{name}: {data.meta['count']:,} × {data.meta['dimensions']}, {data.metric}",
                {n: [(p["recall"], p["rate"]) for p in c] for n, c in curves.items()},
            )
        for section in scenarios.SECTIONS:
            if section in options.sections:
                results[section], lines = scenarios.SECTIONS[section](options, data, workers)
                text += [f"### {section}", "", lines, ""]
    finally:
        for worker in workers:
            worker.end()
    return results, "\n".join(text)


def machine():
    """What the run ran on."""
    model = platform.processor()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def arguments():
    """The options of a run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", help="folder of prepared sets (prepare.py)")
    parser.add_argument("--out", default="results", help="folder for results, tables and plots")
    parser.add_argument("--sets", default="minilm", help="which sets, comma-separated")
    parser.add_argument("--binary", help="our worker; without it only the peers run")
    parser.add_argument("--peers", default=PEERS)
    parser.add_argument("--ours", default=OURS)
    parser.add_argument("--sections", default="curve", help="of curve, filter, delete, churn")
    parser.add_argument("--efs", default=EFS)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--churn-rounds", type=int, default=10)
    parser.add_argument("--cache", help="keeps built peers here: quicker, but not a fresh build")
    options = parser.parse_args()
    for name in ("sets", "peers", "ours", "sections"):
        setattr(options, name, [word for word in getattr(options, name).split(",") if word])
    options.efs = [int(word) for word in options.efs.split(",")]
    return options


def main():
    """Runs all sets and writes results.json and report.md."""
    options = arguments()
    os.makedirs(options.out, exist_ok=True)
    report = ["# Vector indexes, one run", "", f"{machine()}; one thread; k = {options.k}.", ""]
    everything = {"machine": machine()}
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = scratch
        for name in options.sets:
            everything[name], text = run_set(options, name, scratch)
            report.append(text)
            print(text, flush=True)
    with open(os.path.join(options.out, "results.json"), "w", encoding="utf-8") as file:
        json.dump(everything, file, indent=1)
    with open(os.path.join(options.out, "report.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
