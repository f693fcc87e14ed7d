"""Lookups by place, measured beside Redis, PostGIS and Tile38 in one run. See README.md.

    python bench.py --aisle PATH/aisle --worker PATH/place-bench --points 100000 --out results
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

import numpy as np

import peers
import places
import verdicts
import wire

#: name: connections, requests sent at once on each
MODES = {"pipelined": (8, 16), "clients": (8, 1), "single": (1, 1)}
#: answers that are held against brute force
SHOWN = {"radius": 40, "nearest": 40, "city": 20, "wide": 5, "cover": 40}


class Set:
    """What is stored and what is asked."""

    def __init__(self, kind, count, source, seed):
        rng = np.random.default_rng(seed)
        self.name = f"{kind}-{count}"
        if kind == "real":
            self.points = places.real(source, count, rng)
            self.zones = places.real_zones(source)
        else:
            made = places.spread if kind == "spread" else places.generated
            self.points = made(count, rng)
            self.zones = places.generated_zones(3_000, 31, rng)
        near = self.points[rng.integers(0, count, 2_000)] + rng.normal(0, 0.05, (2_000, 2))
        middles = near[:200]
        self.queries = {"radius": near.round(5).tolist(), "nearest": near.round(5).tolist(),
                        "cover": near.round(5).tolist()}
        self.queries["city"] = [
            places.polygon(places.ring(place, 30, 12, 5, 0.25, n))
            for n, place in enumerate(middles)]
        self.queries["wide"] = [
            places.polygon(places.ring(place, 1_000, 30, 25, 0.15, n))
            for n, place in enumerate(middles)]


class Run:
    """A worker beside one server."""

    def __init__(self, worker, folder):
        self.worker = worker
        self.folder = pathlib.Path(folder)

    def replay(self, peer, path, connections, pipeline, seconds, shown=0):
        before = peer.processor_seconds()
        done = subprocess.run(
            [self.worker, peer.socket, peer.protocol, path, str(connections), str(pipeline),
             str(seconds), str(shown)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{peer.name}: {done.stderr}")
        # Processes that served a connection count once they have been waited for.
        time.sleep(0.2)
        result = json.loads(done.stdout)
        result["cpu_us"] = (peer.processor_seconds() - before) / max(result["count"], 1) * 1e6
        return result

    def fill(self, peer, points, zones):
        if isinstance(peer, peers.PostGIS):
            peer.fill(points, zones)
            return 0
        before = peer.resident_bytes()
        path = self.folder / f"{peer.name}.fill"
        steps = [(1, list(peer.setup_requests())), (500, peer.fill_requests(points, zones))]
        for pipeline, requests in steps:
            if not requests:
                continue
            wire.write_requests(path, *peer.handshake("fill"), requests)
            result = self.replay(peer, path, 1, pipeline, 0)
            if result["errors"]:
                raise SystemExit(f"{peer.name} refused {result['errors']} rows")
        path.unlink()
        return peer.resident_bytes() - before

    def requests(self, peer, scenario, queries):
        path = self.folder / f"{peer.name}.{scenario}"
        wire.write_requests(path, *peer.handshake(scenario),
                            [peer.ask(scenario, query) for query in queries])
        return path


def start_peers(names, folder, aisle):
    made = [peers.Aisle(folder, aisle)]
    for name in names:
        if name == "redis" and peers.find("redis-server"):
            made.append(peers.Redis(folder))
        elif name == "tile38" and peers.find("tile38-server"):
            made.append(peers.Tile38(folder))
        elif name == "postgis" and peers.PostGIS.is_installed():
            made.append(peers.PostGIS(folder))
        else:
            print(f"{name} is not installed: left out")
    return made


def measure(run, set_, servers, options):
    """(scenario, peer, mode) → medians over the rounds; and what the answers were worth."""
    figures, judged = {}, {}
    for scenario in options.scenarios.split(","):
        queries = set_.queries[scenario]
        asked = [peer for peer in servers if scenario in peer.scenarios]
        paths = {peer.name: run.requests(peer, scenario, queries) for peer in asked}
        for peer in asked:
            shown = run.replay(peer, paths[peer.name], 1, 1, 0, SHOWN[scenario])["shown"]
            answers = [peer.answer(scenario, bytes.fromhex(text)) for text in shown]
            judged[scenario, peer.name] = verdicts.judge(scenario, set_, queries, answers)
        # Peers take turns, so that a busy moment of the machine hits all alike.
        rounds = {}
        for _ in range(options.rounds):
            for mode, (connections, pipeline) in MODES.items():
                for peer in asked:
                    result = run.replay(peer, paths[peer.name], connections, pipeline,
                                        options.seconds)
                    if result["errors"]:
                        raise SystemExit(f"{peer.name}: {result['errors']} errors in {scenario}")
                    rounds.setdefault((scenario, peer.name, mode), []).append(result)
        for key, results in rounds.items():
            figures[key] = {
                name: statistics.median(result[name] for result in results)
                for name in ("cpu_us", "p50_us", "p99_us")}
            figures[key]["per_s"] = statistics.median(
                result["count"] / result["seconds"] for result in results)
        print(f"{set_.name}: {scenario} is done", flush=True)
    return figures, judged


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--aisle", default=".build/release/aisle")
    parser.add_argument("--worker", default=".build/release/place-bench")
    parser.add_argument("--points", default="100000", help="one or more, with commas")
    parser.add_argument("--kinds", default="generated", help="generated, spread, real, or several")
    parser.add_argument("--source",
                        help="a folder with stores.jsonl.zst and us-counties.geojson.zst")
    parser.add_argument("--peers", default="redis,postgis,tile38")
    parser.add_argument("--scenarios", default="radius,nearest,city,wide,cover")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="results")
    options = parser.parse_args()
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    everything = {"machine": {"processor": platform.processor() or platform.machine(),
                              "cores": os.cpu_count(), "load": os.getloadavg()[0]}, "sets": {}}
    text = []
    for kind in options.kinds.split(","):
        for count in map(int, options.points.split(",")):
            set_ = Set(kind, count, options.source, options.seed)
            with tempfile.TemporaryDirectory() as folder:
                servers = start_peers([p for p in options.peers.split(",") if p], folder,
                                      options.aisle)
                try:
                    run = Run(options.worker, folder)
                    filled = {peer.name: run.fill(peer, set_.points, set_.zones) / count
                              for peer in servers}
                    figures, judged = measure(run, set_, servers, options)
                finally:
                    for server in servers:
                        server.stop()
            everything["sets"][set_.name] = {
                "resident_bytes_per_point": filled,
                "answers": {" ".join(key): value for key, value in judged.items()},
                "figures": {" ".join(key): value for key, value in figures.items()}}
            text.append(verdicts.tables(set_.name, figures, judged, filled))
            print(text[-1], flush=True)
    (out / "results.json").write_text(json.dumps(everything, indent=1))
    (out / "results.md").write_text("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
