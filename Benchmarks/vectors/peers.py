"""Worker process that holds one peer index and obeys one-line JSON commands on standard input.

    python peers.py NAME SET_FOLDER [--cache FOLDER]

It builds the index (one thread), prints one line about that, and then answers each command with
one line. The commands are those of our own worker (see README.md, "Worker protocol"), so that the
driver treats all alike. Peers are asked in one batch call with one thread, which costs them
nothing for Python; the percentiles are of calls with one query each, whose fixed cost of a few
microseconds the driver reports beside them.
"""

import argparse
import json
import os
import resource
import sys
import time

import numpy as np

M = 16
EF_CONSTRUCTION = 200


def resident():
    """Resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class Hnswlib:
    """hnswlib 16/200 on float32."""

    def __init__(self, count, dimensions, metric):
        import hnswlib

        self.index = hnswlib.Index("ip" if metric == "cosine" else "l2", dimensions)
        self.count = count

    def build(self, base):
        """Adds every row, label = row."""
        self.index.set_num_threads(1)
        self.index.init_index(
            self.count, ef_construction=EF_CONSTRUCTION, M=M, allow_replace_deleted=True
        )
        self.index.add_items(base, np.arange(self.count), num_threads=1)

    def save(self, path):
        """Writes the index."""
        self.index.save_index(path)

    def load(self, path):
        """Reads the index."""
        self.index.load_index(path, self.count, allow_replace_deleted=True)
        self.index.set_num_threads(1)

    def bytes(self):
        """Bytes of the saved index: what it holds in memory, less pointers and locks."""
        return self.index.index_file_size()

    def search(self, query, k, ef, words):
        """Labels, queries x k."""
        if words is not None:
            return None
        self.index.set_ef(ef)
        return self.index.knn_query(query, k, num_threads=1)[0]

    def delete(self, rows):
        """Marks rows deleted."""
        for row in rows:
            self.index.mark_deleted(int(row))
        return True

    def restore(self, rows, vectors):
        """Unmarks deleted rows; their vectors are the old ones."""
        for row in rows:
            self.index.unmark_deleted(int(row))
        return len(rows) == len(vectors)

    def replace(self, rows, vectors):
        """Deletes each row and adds it anew with another vector."""
        for row, vector in zip(rows, vectors, strict=True):
            self.index.mark_deleted(int(row))
            self.index.add_items(vector[None], [int(row)], num_threads=1, replace_deleted=True)
        return True


class Faiss:
    """faiss HNSW 16/200, vectors as float32 or as 8-bit scalars."""

    def __init__(self, dimensions, metric, kind):
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(1)
        space = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
        if kind == "flat":
            self.index = faiss.IndexHNSWFlat(dimensions, M, space)
        else:
            coding = faiss.ScalarQuantizer.QT_8bit
            self.index = faiss.IndexHNSWSQ(dimensions, coding, M, space)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION

    def build(self, base):
        """Trains and adds every row."""
        self.index.train(base)
        self.index.add(base)

    def save(self, path):
        """Writes the index."""
        self.faiss.write_index(self.index, path)

    def load(self, path):
        """Reads the index."""
        self.index = self.faiss.read_index(path)

    def bytes(self):
        """Bytes of the serialised index."""
        return int(self.faiss.serialize_index(self.index).nbytes)

    def search(self, query, k, ef, words):
        """Rows, queries x k."""
        parameters = self.faiss.SearchParametersHNSW()
        parameters.efSearch = ef
        if words is not None:
            selector = self.faiss.IDSelectorBitmap(words.view(np.uint8))
            parameters.sel = selector
        return self.index.search(query, k, params=parameters)[1]

    def delete(self, rows):
        """Not offered by this index."""
        return len(rows) == 0

    def replace(self, rows, vectors):
        """Not offered by this index."""
        return len(rows) == len(vectors) == 0

    restore = replace


class Usearch:
    """usearch 16/200, vectors as half floats."""

    def __init__(self, dimensions, metric):
        import usearch.index

        self.module = usearch.index
        self.index = usearch.index.Index(
            ndim=dimensions,
            metric="ip" if metric == "cosine" else "l2sq",
            dtype="f16",
            connectivity=M,
            expansion_add=EF_CONSTRUCTION,
        )

    def build(self, base):
        """Adds every row, key = row."""
        self.index.add(np.arange(len(base)), base, threads=1)

    def save(self, path):
        """Writes the index."""
        self.index.save(path)

    def load(self, path):
        """Reads the index."""
        self.index.load(path)

    def bytes(self):
        """Bytes of the serialised index."""
        return int(self.index.serialized_length)

    def search(self, query, k, ef, words):
        """Keys, queries x k."""
        if words is not None:
            return None
        self.index.expansion_search = ef
        return np.asarray(self.index.search(query, k, threads=1).keys).reshape(len(query), k)

    def delete(self, rows):
        """Removes rows."""
        self.index.remove(np.asarray(rows))
        return True

    def restore(self, rows, vectors):
        """Adds rows that were removed."""
        self.index.add(np.asarray(rows), vectors, threads=1)
        return True

    def replace(self, rows, vectors):
        """Removes rows and adds them anew."""
        self.index.remove(np.asarray(rows))
        self.index.add(np.asarray(rows), vectors, threads=1)
        return True


def make(name, count, dimensions, metric):
    """The peer called `name`."""
    if name == "hnswlib":
        return Hnswlib(count, dimensions, metric)
    if name == "faiss":
        return Faiss(dimensions, metric, "flat")
    if name == "faiss-sq8":
        return Faiss(dimensions, metric, "sq8")
    if name == "usearch-f16":
        return Usearch(dimensions, metric)
    raise SystemExit(f"no peer called {name}")


def prepare(peer, name, folder, cache, meta):
    """Builds the index or loads it from the cache; returns the line that says what it took."""
    count, dimensions = meta["count"], meta["dimensions"]
    saved = cache and os.path.join(cache, f"{os.path.basename(folder)}-{name}")
    if saved and os.path.exists(saved + ".json"):
        peer.load(saved + ".index")
        with open(saved + ".json", encoding="utf-8") as file:
            return dict(json.load(file), cached=True)
    base = np.fromfile(os.path.join(folder, "base.f32"), "<f4").reshape(count, dimensions)
    before, start, cpu = resident(), time.perf_counter(), time.process_time()
    peer.build(base)
    line = {
        "name": name,
        "build_seconds": time.perf_counter() - start,
        "build_cpu_seconds": time.process_time() - cpu,
        "resident_growth": resident() - before,
    }
    line["bytes"] = peer.bytes()
    if saved:
        os.makedirs(cache, exist_ok=True)
        peer.save(saved + ".index")
        with open(saved + ".json", "w", encoding="utf-8") as file:
            json.dump(line, file)
    return line


def search(peer, command, meta, folder):
    """Answers `search`."""
    path = command.get("queries") or os.path.join(folder, "query.f32")
    query = np.fromfile(path, "<f4").reshape(-1, meta["dimensions"])
    words = np.fromfile(command["filter"], "<u8") if command.get("filter") else None
    k, ef = command["k"], max(command["ef"], command["k"])
    seconds, cpu, found = [], [], None
    begun, least = time.process_time(), command.get("least", 0)
    while len(seconds) < command.get("repeat", 1) or time.process_time() - begun < least:
        start, used = time.perf_counter(), time.process_time()
        found = peer.search(query, k, ef, words)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    if found is None:
        return {"unsupported": True}
    np.ascontiguousarray(found, "<i4").tofile(command["ids"])
    reply = {"seconds": seconds, "cpu_seconds": cpu, "queries": len(query)}
    if command.get("latency"):
        times = []
        for row in query:
            start = time.perf_counter()
            peer.search(row[None], k, ef, words)
            times.append(time.perf_counter() - start)
        reply["p50_us"], reply["p99_us"] = (np.percentile(times, (50, 99)) * 1e6).tolist()
        reply["call_us"] = (np.mean(times) - min(seconds) / len(query)) * 1e6
    return reply


def obey(peer, command, meta, folder):
    """Answers one command; the driver and our own worker know the same ones."""
    if command["op"] == "search":
        return search(peer, command, meta, folder)
    rows = np.fromfile(command["rows"], "<i4")
    start = time.perf_counter()
    if command["op"] == "delete":
        done = peer.delete(rows)
    elif command["op"] in ("replace", "restore"):
        vectors = np.fromfile(command["vectors"], "<f4").reshape(-1, meta["dimensions"])
        change = peer.replace if command["op"] == "replace" else peer.restore
        done = change(rows, vectors)
    else:
        raise SystemExit(f"no command {command['op']}")
    if not done:
        return {"unsupported": True}
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "bytes": peer.bytes(), "resident": resident()}


def main():
    """Builds, then obeys until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("folder")
    parser.add_argument("--cache")
    options = parser.parse_args()
    with open(os.path.join(options.folder, "meta.json"), encoding="utf-8") as file:
        meta = json.load(file)
    peer = make(options.name, meta["count"], meta["dimensions"], meta["metric"])
    print(json.dumps(prepare(peer, options.name, options.folder, options.cache, meta)), flush=True)
    for text in sys.stdin:
        print(json.dumps(obey(peer, json.loads(text), meta, options.folder)), flush=True)


if __name__ == "__main__":
    main()
