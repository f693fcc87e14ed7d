"""A collection with vectors beside a Python twin that answers by brute force."""

import json
import math
import struct
import time

from aisle_resp import Lookup
from aisle_server import PATIENCE
from test_schema import flat

SMALL = {"kind": "hnsw", "m": 8, "efConstruction": 48, "storage": "f32", "originals": "f32"}
KINDS = {
    "hnsw": SMALL,
    "ivf": {"kind": "ivf", "numLists": 8, "nProbes": 4, "storage": "f32", "originals": "f32"},
    "flat": {"kind": "flat", "storage": "f32", "originals": "f32"},
}
FIELDS = {"n": {"type": "int", "index": True}, "cat": {"type": "keyword", "index": True},
          "on": {"type": "bool", "index": True}, "plain": {"type": "int"}}


def pack(values):
    """Little-endian f32, as VEC and BLOB take it."""
    return struct.pack(f"<{len(values)}f", *values)


def narrow(values):
    """The values as the nearest f32."""
    return list(struct.unpack(f"<{len(values)}f", pack(values)))


def gauss(rng, dimensions, scale=1.0):
    return narrow([rng.gauss(0, scale) for _ in range(dimensions)])


def likeness(metric, a, b):
    """The score that two vectors have."""
    dot = math.fsum(x * y for x, y in zip(a, b))
    if metric == "ip":
        return dot
    if metric == "cosine":
        return dot / (math.hypot(*a) * math.hypot(*b))
    return 1 / (1 + math.dist(a, b))


def vector_field(dimensions, metric, index):
    return {"type": "vector", "dimensions": dimensions, "metric": metric, "index": index}


def similar(db, *words):
    """SIMILAR, as a Lookup."""
    return Lookup(db.call("SIMILAR", *words))


def index_entry(db, collection, field="v"):
    """DESCRIBE's map of one index."""
    entries = db.call("DESCRIBE", collection)["indexes"]
    return next((entry for entry in entries if entry["field"] == field), None)


def wait_until_linked(db, collection, seconds=60):
    """Waits until no index of the collection is being built any more."""
    end = time.monotonic() + seconds * PATIENCE
    while "building" in flat(db.call("DESCRIBE", collection)):
        assert time.monotonic() < end, db.call("DESCRIBE", collection)
        time.sleep(0.02)


class Shelf:
    """The twin: documents by id, each with a vector or none.

    `tolerance` is by how much scores may differ, relative to the lengths of the vectors: that of
    f32 arithmetic, or of originals kept as f16.
    """

    def __init__(self, db, name, rng, metric="cosine", dimensions=12, index=None, create=True):
        self.db, self.name, self.rng = db, name, rng
        self.metric, self.dimensions = metric, dimensions
        self.index = index or SMALL
        self.tolerance = 2e-5 if self.index.get("originals") in ("f32", "store") else 4e-3
        self.documents, self.vectors = {}, {}
        if create:
            db.call("CREATE", name, json.dumps(
                {"fields": {**FIELDS, "v": vector_field(dimensions, metric, self.index)}}))

    # Changes

    def made(self, key, has_vector=True):
        """The PUT of a random document, noted in the twin."""
        rng = self.rng
        document = {"n": rng.randrange(1000), "cat": rng.choice("abcde"),
                    "on": rng.random() < 0.7, "plain": rng.randrange(10)}
        self.documents[key] = document
        self.vectors.pop(key, None)
        if not has_vector:
            return ("PUT", self.name, key, json.dumps(document))
        vector = self.vectors[key] = gauss(rng, self.dimensions)
        if rng.random() < 0.5:
            return ("PUT", self.name, key, json.dumps(document), "VEC", "v", pack(vector))
        return ("PUT", self.name, key, json.dumps({**document, "v": vector}))

    def put_whole(self, key):
        """The PUT of a random document with its vector in the text."""
        self.made(key)
        return ("PUT", self.name, key, json.dumps(
            {**self.documents[key], "v": self.vectors[key]}))

    def sent(self, commands):
        for reply in self.db.pipeline(commands):
            assert not isinstance(reply, Exception), reply

    def fill(self, count, without=0.0):
        self.sent([self.made(f"p{n}", self.rng.random() >= without) for n in range(count)])
        return self

    def churn(self, count):
        """Random writes of every sort."""
        commands = []
        for _ in range(count):
            key = f"p{self.rng.randrange(2 * len(self.documents) + 10)}"
            kind = self.rng.random()
            if kind < 0.4 or key not in self.documents:
                commands.append(self.made(key, self.rng.random() < 0.9))
            elif kind < 0.6:
                self.documents[key] = {**self.documents[key], "n": self.rng.randrange(1000)}
                commands.append(("PATCH", self.name, key, json.dumps(
                    {"$set": {"n": self.documents[key]["n"]}})))
            elif kind < 0.7:
                self.vectors[key] = gauss(self.rng, self.dimensions)
                commands.append(("PATCH", self.name, key, json.dumps({"v": self.vectors[key]})))
            elif kind < 0.75:
                self.vectors.pop(key, None)
                commands.append(("PATCH", self.name, key, '{"$unset":{"v":1}}'))
            elif kind < 0.8:
                # The same again: the vector stays where it is.
                document = dict(self.documents[key])
                if key in self.vectors:
                    document["v"] = self.vectors[key]
                commands.append(("PUT", self.name, key, json.dumps(document)))
            else:
                del self.documents[key]
                self.vectors.pop(key, None)
                commands.append(("REMOVE", self.name, key))
        self.sent(commands)
        return self

    def reload(self):
        """Makes the twin from what the server holds, in case of writes that were lost."""
        self.documents, self.vectors = {}, {}
        cursor = None
        while True:
            answer = Lookup(self.db.call(
                "FIND", self.name, "{}", "SORT", "_id", "LIMIT", 1000, "FIELDS",
                "n,cat,on,plain,v", *(["AFTER", cursor] if cursor else [])))
            for hit in answer.hits:
                document = json.loads(hit["doc"])
                if "v" in document:
                    self.vectors[hit["id"]] = narrow(document.pop("v"))
                self.documents[hit["id"]] = document
            cursor = answer.cursor
            if not cursor or not answer.hits:
                return self

    # Questions

    def condition(self):
        """A random filter as JSON and as Python; None for no filter."""
        rng = self.rng
        low, cat, plain = rng.randrange(900), rng.choice("abcde"), rng.randrange(10)
        return rng.choice([
            (None, lambda d: True),
            ('{"on":true}', lambda d: d["on"]),
            (json.dumps({"n": {"$gte": low, "$lt": low + 80}}),
             lambda d: low <= d["n"] < low + 80),
            (json.dumps({"cat": cat, "on": True}), lambda d: d["cat"] == cat and d["on"]),
            (json.dumps({"plain": plain}), lambda d: d["plain"] == plain),
            (json.dumps({"$or": [{"cat": cat}, {"n": {"$lt": 5}}]}),
             lambda d: d["cat"] == cat or d["n"] < 5),
            ('{"n":{"$gt":5000}}', lambda d: False),
        ])

    def best(self, target, fits=lambda d: True, without=()):
        """All (score, id) that match, best first, ties by id."""
        return sorted(
            ((likeness(self.metric, target, vector), key) for key, vector in self.vectors.items()
             if key not in without and fits(self.documents[key])),
            key=lambda pair: (-pair[0], pair[1]))

    def slack(self, target):
        """By how much scores for a target may differ."""
        if self.metric != "ip":
            return self.tolerance * 2
        longest = max((math.hypot(*v) for v in self.vectors.values()), default=0)
        return self.tolerance * max(1, math.hypot(*target) * longest)

    def check(self, answer, target, count, fits=lambda d: True, without=(), exact=True):
        """Compares an answer with brute force; returns the recall."""
        truth = self.best(target, fits, without)
        slack = self.slack(target)
        assert answer.total == len(self.best(target, fits)), "total"
        assert len(answer.hits) == min(count, len(truth)), (len(answer.hits), len(truth))
        assert len(set(answer.ids)) == len(answer.ids)
        scores = dict((key, score) for score, key in truth)
        given = [hit["score"] for hit in answer.hits]
        assert given == sorted(given, reverse=True)
        for hit in answer.hits:
            assert abs(hit["score"] - scores[hit["id"]]) <= slack, (hit, scores[hit["id"]])
        if exact:
            for score, (true, key) in zip(given, truth):
                assert abs(score - true) <= slack, (answer.ids, truth[:count])
        if not truth:
            return 1.0
        least = truth[min(count, len(truth)) - 1][0] - slack
        return sum(scores[key] >= least for key in answer.ids) / min(count, len(truth))

    def ask(self, exact=True, width=None, db=None):
        """One random question, checked; returns the recall."""
        rng, keys = self.rng, sorted(self.vectors)
        count = rng.choice([1, 3, 10, 40])
        filter, fits = self.condition()
        words, without = [], set()
        if keys and rng.random() < 0.4:
            key = rng.choice(keys)
            target, without = self.vectors[key], {key}
            words += ["ID", key]
        else:
            target = gauss(rng, self.dimensions)
            words += ["VEC", pack(target)]
        if keys and rng.random() < 0.3:
            unwanted = rng.sample(keys, min(len(keys), 5))
            words += ["NOT", json.dumps(unwanted)]
            without |= set(unwanted)
        if filter:
            words += ["WHERE", filter]
        answer = similar(db or self.db, self.name, *words, "K", count, *["EXACT"] * exact,
                         *(["EF", width] if width else []))
        assert answer.exact or not exact
        return self.check(answer, target, count, fits, without, exact)

    def ask_much(self, count, exact=True, width=None, db=None):
        """Random questions; returns the mean recall."""
        return sum(self.ask(exact, width, db) for _ in range(count)) / count
