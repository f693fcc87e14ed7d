"""NEARBY against brute force by great circles."""

import json
import random

import pytest

from aisle_resp import RespError
from place_shelf import FIELDS, Places, near, random_place


@pytest.fixture
def places(db3, name, seed):
    shelf = Places(db3, name, random.Random(seed))
    yield shelf
    db3.call("DROP", name)


def test_nearby_is_brute_force(places, db3, name):
    places.fill(400)
    rng = places.rng
    for turn in range(60):
        if turn % 3 == 0:
            places.churn(20)
        center, limit = random_place(rng), rng.choice([1, 2, 5, 10, 50, 1000])
        words = [name, *center, "LIMIT", limit]
        radius = None
        if rng.random() < 0.6:
            radius = 10 ** rng.uniform(2, 7.3)
            words += ["RADIUS", f"{radius}m"]
        matches = lambda document: True
        kind = rng.randrange(4)
        if kind == 1:
            bound = rng.randrange(100)
            matches = lambda document: document["n"] < bound
            words += ["WHERE", json.dumps({"n": {"$lt": bound}})]
        elif kind == 2:
            cat = rng.choice("abcde")
            matches = lambda document: document["cat"] == cat
            words += ["WHERE", json.dumps({"cat": cat})]
        elif kind == 3:
            plain = rng.randrange(4)
            matches = lambda document: document["plain"] == plain
            words += ["WHERE", json.dumps({"plain": plain})]
        places.check(center, near(db3, *words), limit, radius, matches)


def test_pages_neither_repeat_nor_skip(places, db3, name):
    places.fill(300)
    rng = places.rng
    for center in [random_place(rng) for _ in range(6)] + [[0.0, 0.0], [90.0, 45.0], [0.0, 90.0]]:
        radius, where = rng.choice([None, 5_000_000]), rng.choice([None, {"n": {"$lt": 70}}])
        words = [name, *center, "LIMIT", rng.choice([1, 3, 7, 20])]
        if radius:
            words += ["RADIUS", f"{radius}m"]
        if where:
            words += ["WHERE", json.dumps(where)]
        hits, page = [], near(db3, *words)
        while True:
            hits += page.hits
            if page.cursor is None:
                break
            assert len(page.hits) == words[4]
            page = near(db3, *words, "AFTER", page.cursor)
        ids = [hit["id"] for hit in hits]
        assert len(ids) == len(set(ids))
        places.check_order(center, hits)
        true = places.distances(center, lambda d: d["n"] < 70 if where else True)
        if radius:
            true = [pair for pair in true if pair[0] <= radius]
        assert sorted(ids) == sorted(id for _, id in true)
