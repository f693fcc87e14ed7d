"""Near places where documents and opening hours are asked of the nearest only, and without an index."""

import json
import math
import random

import pytest

from aisle_resp import Lookup, RespError, as_map
from place_shelf import FIELDS, Places, near, random_place
from test_schema import job_of, wait_for_job

OPEN_AT = "2026-05-04T12:00:00Z"
DAYS = {"open": [["09:00", "18:00"]], "closed": [["13:00", "18:00"]]}


@pytest.fixture
def places(db3, name, seed):
    shelf = Places(db3, name, random.Random(seed), {**FIELDS, "hours": {"type": "hours"}})
    yield shelf
    db3.call("DROP", name)


def documents_read(db, *words):
    return as_map(db.call("EXPLAIN", *words))["documents_read"]


def is_running(db, job):
    entries = db.call("JOBS")
    entries = entries.values() if isinstance(entries, dict) else entries
    return any(str(as_map(entry)["id"]) == str(job) and as_map(entry)["state"] == "running"
               for entry in entries)


def pages(db, *words):
    """The ids of all pages, in order."""
    page = near(db, *words)
    ids = page.ids
    while page.cursor is not None:
        page = near(db, *words, "AFTER", page.cursor)
        ids += page.ids
    return ids


def test_only_documents_of_the_nearest_are_read(places, db3, name):
    places.fill(3000).churn(50)
    rng = places.rng
    for _ in range(12):
        center, limit = random_place(rng), rng.choice([1, 3, 10])
        plain = rng.randrange(4)
        words = [name, *center, "LIMIT", limit, "WHERE", json.dumps({"plain": plain})]
        places.check(center, near(db3, *words), limit, None, lambda d: d["plain"] == plain)
        read = documents_read(db3, "NEARBY", *words)
        assert limit <= read < 700, read
    # Few match: all that have a place are asked, whatever the round.
    for id in ["p7", "p8", "p9"]:
        places.documents[id] = {"at": [10.0, 10.0], "n": 1, "cat": "a", "plain": 77}
        db3.call("PUT", name, id, json.dumps(places.documents[id]))
    for limit in (1, 2, 3, 50):
        words = [name, -60, -30, "WHERE", '{"plain":77}', "LIMIT", limit]
        places.check([-60, -30], near(db3, *words), limit, None, lambda d: d["plain"] == 77)
    # A filter of which a column answers a part.
    words = [name, 0, 0, "WHERE", '{"plain":2,"cat":"b"}', "LIMIT", 7]
    both = lambda d: d["plain"] == 2 and d["cat"] == "b"
    places.check([0, 0], near(db3, *words), 7, None, both)
    assert sorted(pages(db3, *words)) == sorted(id for _, id in places.distances([0, 0], both))


def test_open_places_are_found_however_few_they_are(places, db3, name):
    rng = places.rng
    for share in (0.9, 0.3, 0.004):
        commands = []
        for number in range(1500):
            kind = "open" if rng.random() < share else "closed"
            document = {"at": random_place(rng), "plain": rng.randrange(3), "kind": kind,
                        "hours": {"timezone": "UTC", "weekly": {"mon": DAYS[kind]}}}
            if number % 50 == 0:
                document["at"] = [90.0, 45.0]
            if number % 40 == 0:
                del document["hours"]
                document["kind"] = "unknown"
            places.documents[f"p{number}"] = document
            commands.append(("PUT", name, f"p{number}", json.dumps(document)))
        places.sent(commands)
        is_open = lambda d: d["kind"] == "open"
        for center in [random_place(rng) for _ in range(5)] + [[90.0, 45.0]]:
            for limit in (1, 10, 120):
                got = near(db3, name, *center, "OPEN", OPEN_AT, "LIMIT", limit)
                places.check(center, got, limit, None, is_open)
            plain = rng.randrange(3)
            got = near(db3, name, *center, "OPEN", OPEN_AT, "LIMIT", 5, "WHERE",
                       json.dumps({"plain": plain}))
            places.check(center, got, 5, None, lambda d: is_open(d) and d["plain"] == plain)
            for radius in (200_000, 3_000_000, 20_000_000):
                within = [*center, "OPEN", OPEN_AT, "RADIUS", f"{radius}m", "LIMIT", 5]
                places.check(center, near(db3, name, *within), 5, radius, is_open)
                got = near(db3, name, *within, "WHERE", '{"kind":{"$ne":"unknown"}}')
                places.check(center, got, 5, radius, is_open)
        plans = [as_map(db3.call("EXPLAIN", "NEARBY", name, -150.1, -47.3, "OPEN", OPEN_AT,
                                 "RADIUS", radius))["plan"] for radius in ("1m", "20000km")]
        assert "what is open within the radius" in plans[0]
        assert "what is open)" in plans[1]
        ids = pages(db3, name, 90, 45, "OPEN", OPEN_AT, "LIMIT", 3)
        assert sorted(ids) == sorted(id for _, id in places.distances([90, 45], is_open))
        assert len(ids) == len(set(ids))


def test_lookups_read_documents_while_the_index_is_built(db3, name, seed):
    rng = random.Random(seed)
    fields = {"at": {"type": "geopoint"}, "n": {"type": "int", "index": True}}
    shelf = Places(db3, name, rng, fields)
    shelf.fill(6000)
    square = json.dumps({"type": "Polygon", "coordinates": [
        [[-10, -10], [20, -10], [20, 20], [-10, 20], [-10, -10]]]})
    expected = sorted(Lookup(db3.call("FIND", name, json.dumps(
        {"at": {"$geoWithin": {"$geometry": json.loads(square)}}}), "LIMIT", 1000)).ids)
    scans = 0
    for _ in range(20):
        job = job_of(db3.call("ALTER", name, '{"set":{"at":{"index":true}}}'))
        while is_running(db3, job):
            center, radius = random_place(rng), rng.choice([None, 2_000_000])
            words = ["RADIUS", f"{radius}m"] if radius else []
            try:
                # Of few documents: one that the end of the build overtakes begins anew.
                plan = as_map(db3.call("EXPLAIN", "NEARBY", name, 0, 0, "WHERE", '{"n":5}'))
                scans += "scan (" in plan["plan"]
                got = near(db3, name, *center, "LIMIT", 20, *words)
                shelf.check(center, got, 20, radius)
                got = Lookup(db3.call("WITHIN", name, square, "LIMIT", 1000))
                assert sorted(got.ids) == expected
            except RespError as error:
                # It had not begun yet.
                assert "NOINDEX" in error.text, error.text
        got = near(db3, name, 5, 5, "LIMIT", 20)
        shelf.check([5, 5], got, 20)
        if scans:
            break
        wait_for_job(db3, job_of(db3.call("ALTER", name, '{"set":{"at":{"index":false}}}')))
    assert scans, "no lookup came before the index was ready"


def test_a_timeout_stops_lookups_by_place(places, db3, name):
    places.fill(6000)
    for words in (["NEARBY", name, 0, 0, "RADIUS", "20000km", "WHERE", '{"plain":9}'],
                  ["NEARBY", name, 0, 0, "WHERE", '{"plain":9}'],
                  ["WITHIN", name, "CIRCLE", 0, 0, "20000km", "WHERE", '{"plain":9}']):
        assert db3.code(*words, "TIMEOUT", "1ms") == "TIMEOUT"
        cut = Lookup(db3.call(*words, "TIMEOUT", "1ms", "PARTIAL"))
        assert cut.raw["partial"] is True and cut.exact is False
        whole = Lookup(db3.call(*words, "TIMEOUT", "60s"))
        assert "partial" not in whole.raw and whole.hits == []


def test_a_filter_that_is_cut_off_before_it_has_asked_a_partition_leaves_no_hits(db3, name):
    # A polygon of many corners against many points takes longer than the time for the lookup.
    db3.call("CREATE", name, json.dumps({"fields": {"at": {"type": "geopoint", "index": True}}}))
    rng = random.Random(5)
    for start in range(0, 20_000, 500):
        db3.pipeline([["PUT", name, f"d{n}", json.dumps({"at": random_place(rng)})]
                      for n in range(start, start + 500)])
    ring = [[60 * math.cos(math.tau * n / 900) * (1 - 0.3 * (n % 2)),
             60 * math.sin(math.tau * n / 900) * (1 - 0.3 * (n % 2))] for n in range(900)]
    where = json.dumps({"at": {"$geoWithin": {"$geometry": {
        "type": "Polygon", "coordinates": [ring + ring[:1]]}}}})
    whole = Lookup(db3.call("NEARBY", name, 0, 0, "LIMIT", 5, "WHERE", where))
    assert len(whole.hits) == 5
    for words in (["NEARBY", name, 0, 0, "WHERE", where],
                  ["NEARBY", name, 0, 0, "RADIUS", "9000km", "WHERE", where]):
        cut = Lookup(db3.call(*words, "TIMEOUT", "1ms", "PARTIAL"))
        assert cut.hits == [] and not cut.exact
