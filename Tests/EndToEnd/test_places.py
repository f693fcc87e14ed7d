"""NEARBY against brute force by great circles."""

import json
import math
import random

import pytest

from aisle_resp import Lookup, RespError
from place_shelf import FIELDS, Places, holds, in_box, meters, near, random_place, star


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


def all_ids(db, *words):
    """The ids of all pages of a lookup."""
    ids, page = [], Lookup(db.call(*words))
    total = page.total
    while True:
        ids += page.ids
        if page.cursor is None:
            assert len(ids) == total
            return ids
        page = Lookup(db.call(*words, "AFTER", page.cursor))


def test_within_is_brute_force(places, db3, name):
    places.fill(500)
    rng = places.rng
    for turn in range(40):
        if turn % 4 == 0:
            places.churn(15)
        center = random_place(rng)
        kind = rng.randrange(3)
        if kind == 0:
            radius = 10 ** rng.uniform(3, 7.2)
            region, test = ["CIRCLE", *center, f"{radius}m"], (
                lambda place: meters(center, place) <= radius)
            sure = lambda place: abs(meters(center, place) - radius) > 1e-5
        elif kind == 1:
            west, east = rng.uniform(-180, 180), rng.uniform(-180, 180)
            south, north = sorted(rng.uniform(-90, 90) for _ in range(2))
            box = [west, south, east, north]
            region, test = ["BOX", *box], lambda place: in_box(box, place)
            sure = lambda place: True
        else:
            reach = 10 ** rng.uniform(3, 6.8)
            rings = [star(rng, center, reach)]
            if rng.random() < 0.5:
                rings.append(star(rng, center, reach * 0.1))
            region = [json.dumps({"type": "Polygon", "coordinates": rings})]
            test = lambda place: holds(rings, place)
            sure = lambda place: meters(center, place) > 1 or True
        words = ["WITHIN", name, *region, "LIMIT", rng.choice([3, 50, 1000])]
        matches = lambda document: True
        if rng.random() < 0.4:
            words += ["WHERE", '{"plain":1}']
            matches = lambda document: document["plain"] == 1
        got = all_ids(db3, *words)
        assert got == sorted(got)
        for id, document in places.documents.items():
            if "at" in document and sure(places.place(id)):
                expected = matches(document) and test(places.place(id))
                assert (id in set(got)) == expected, (words, id, document)


def test_near_in_find_is_nearby(places, db3, name):
    places.fill(300)
    rng = places.rng
    for field in ["at", "unindexed"]:
        if field == "unindexed":
            other = name + "u"
            db3.call("CREATE", other, '{"fields":{"at":{"type":"geopoint"}}}')
            places.sent([("PUT", other, id, json.dumps(document))
                         for id, document in places.documents.items()])
        else:
            other = name
        for _ in range(12):
            center, limit = random_place(rng), rng.choice([1, 5, 30])
            least, most = sorted(10 ** rng.uniform(2, 7.3) for _ in range(2))
            near = {"$geometry": {"type": "Point", "coordinates": center}}
            if rng.random() < 0.7:
                near["$maxDistance"] = most
            if rng.random() < 0.5:
                near["$minDistance"] = least
            words = [json.dumps({"at": {"$near": near}, "n": {"$gte": 20}}), "LIMIT", limit]
            true = [id for distance, id in places.distances(center, lambda d: d["n"] >= 20)
                    if near.get("$minDistance", 0) <= distance
                    <= near.get("$maxDistance", math.inf)]
            got = all_ids(db3, "FIND", other, *words)
            assert sorted(got) == sorted(true)
            away = [meters(center, places.place(id)) for id in got]
            # Near the antipode the order is no finer than that.
            assert all(a <= b + (1e-5 if b < 2.0015e7 else 0.1) for a, b in zip(away, away[1:]))
            assert db3.call("COUNT", other, words[0]) == len(true)
            assert Lookup(db3.call("FIND", other, *words, "SORT", "_id")).ids == sorted(
                true)[:limit]
    db3.call("DROP", name + "u")


def test_indexes_and_scans_agree_on_every_operator(places, db3, name):
    places.fill(400)
    rng = places.rng
    other = name + "u"
    db3.call("CREATE", other, '{"fields":{"at":{"type":"geopoint"},"n":{"type":"int"}}}')
    places.sent([("PUT", other, id, json.dumps(document))
                 for id, document in places.documents.items()])
    for _ in range(25):
        center = random_place(rng)
        x, y = center
        reach = 10 ** rng.uniform(0, 2)
        ring = star(rng, center, 10 ** rng.uniform(4, 6.8))
        operators = [
            {"$geoWithin": {"$geometry": {"type": "Polygon", "coordinates": [ring]}}},
            {"$geoIntersects": {"$geometry": {"type": "MultiPolygon", "coordinates": [[ring]]}}},
            {"$geoIntersects": {"$geometry": {
                "type": "Point", "coordinates": places.place(rng.choice(
                    [i for i, d in places.documents.items() if "at" in d]))}}},
            {"$geoWithin": {"$centerSphere": [center, reach / 57.3]}},
            {"$geoWithin": {"$center": [center, reach]}},
            {"$geoWithin": {"$box": [[max(-180, x - reach), max(-90, y - reach)],
                                     [min(180, x + reach), min(90, y + reach)]]}},
            {"$geoWithin": {"$polygon": ring[:-1]}},
            {"$near": center, "$maxDistance": reach / 57.3},
        ]
        for operator in operators:
            for filter in [{"at": operator}, {"at": operator, "n": {"$lt": 50}},
                           {"at": {"$not": operator}}, {"$or": [{"at": operator}, {"n": 7}]}]:
                if "$near" in operator and len(filter) + len(filter.get("at", {})) != 3:
                    continue
                text = json.dumps(filter)
                assert sorted(all_ids(db3, "FIND", name, text, "LIMIT", 300)) == sorted(
                    all_ids(db3, "FIND", other, text, "LIMIT", 300)), text
    db3.call("DROP", other)
