"""NEARBY, WITHIN, COVER, DELIVERS and the operators of places: options, errors, life of an index."""

import json
import math
import random
import threading
import time
import xml.etree.ElementTree

import pytest

from aisle_resp import Lookup, RespError, as_map
from aisle_server import PATIENCE
from place_shelf import Places, holds, meters, near, random_place, star
from test_schema import job_of, wait_for_job

POINT = {"type": "geopoint", "index": True}
SQUARE = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]


def error(db, *words):
    """The one-line error of a command."""
    with pytest.raises(RespError) as raised:
        db.call(*words)
    return raised.value.text


@pytest.fixture
def towns(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {"at": POINT, "n": {"type": "int"}}}))
    for id, at in {"seattle": [-122.33, 47.61], "tacoma": [-122.44, 47.25],
                   "suva": [178.44, -18.14], "apia": [-171.77, -13.83]}.items():
        db3.call("PUT", name, id, json.dumps({"at": at, "n": 1}))
    yield name
    db3.call("DROP", name)


def test_replies_have_their_shape(towns, db):
    got = as_map(db.call("NEARBY", towns, -122, 47, "LIMIT", 1, "META", "FIELDS", "n"))
    assert list(got) == ["exact", "hits", "cursor", "version", "took_us"]
    hit = as_map(got["hits"][0])
    assert list(hit) == ["id", "distance_m", "version", "doc"]
    assert hit["id"] == b"tacoma" or hit["id"] == "tacoma"
    assert json.loads(hit["doc"]) == {"n": 1}
    assert math.isclose(float(hit["distance_m"]), meters([-122, 47], [-122.44, 47.25]),
                        rel_tol=1e-9)
    got = as_map(db.call("NEARBY", towns, -122, 47, "RADIUS", "100km"))
    assert list(got) == ["total", "exact", "hits", "version", "took_us"]
    assert got["total"] == 2
    got = as_map(db.call("WITHIN", towns, "BOX", 170, -30, -160, 0, "SORT", "_id:-1"))
    assert [as_map(hit)["id"] for hit in got["hits"]] == [b"suva", b"apia"] or [
        as_map(hit)["id"] for hit in got["hits"]] == ["suva", "apia"]
    assert Lookup(db.call("NEARBY", towns, 0, 0, "LIMIT", 0)).hits == []


@pytest.mark.parametrize("words, says", [
    (["NEARBY", -122, 91], "INVALID latitude: is from -90 to 90, got 91"),
    (["NEARBY", 181, 0], "INVALID longitude: is from -180 to 180, got 181"),
    (["NEARBY", "nan", 0], "INVALID longitude: is a number of degrees, got nan"),
    (["NEARBY", 0, "inf"], "INVALID latitude: is a number of degrees, got inf"),
    (["NEARBY", "x", 0], "INVALID longitude: is a number of degrees, got x"),
    (["NEARBY", 0, 0, "RADIUS", "5"], "INVALID RADIUS: is a distance with its unit"),
    (["NEARBY", 0, 0, "RADIUS", "nankm"], "INVALID RADIUS: is a distance with its unit"),
    (["NEARBY", 0, 0, "RADIUS", "-1km"], "INVALID RADIUS: is a distance from 0m"),
    (["NEARBY", 0, 0, "RADIUS", "20016km"], "is at most half the way around the globe, 20015118m"),
    (["NEARBY", 0, 0, "LIMIT", 1001], "LIMIT LIMIT: at most 1000"),
    (["NEARBY", 0, 0, "AFTER", "abc"], "INVALID AFTER: is a cursor of this query"),
    (["NEARBY", 0, 0, "SORT", "n"], "SYNTAX SORT: is no option"),
    (["NEARBY", 0, 0, "FIELD", "n"], "NOINDEX n: is no field of places with an index"),
    (["NEARBY", 0, 0, "OPEN", "now"], "has no field of hours"),
    (["WITHIN", "BOX", 0, 5, 1, 4], "INVALID BOX: south is at most north"),
    (["WITHIN", "BOX", 0, 0, 1, 91], "INVALID north: is from -90 to 90, got 91"),
    (["WITHIN", "BOX", 0, 0, 1], "SYNTAX BOX: takes west south east north"),
    (["WITHIN", "CIRCLE", 0, 0, "1"], "INVALID CIRCLE: is a distance with its unit"),
    (["WITHIN", "{"], "INVALID region: is to be JSON: "),
    (["WITHIN", '{"type":"Point","coordinates":[0,0]}'],
     "is a Polygon or MultiPolygon, got a Point"),
    (["WITHIN", '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}'],
     "INVALID region.coordinates.0"),
    (["WITHIN", '{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}'],
     "INVALID region.coordinates.0"),
    (["WITHIN", '{"type":"Polygon","coordinates":[[[0,0],[1,91],[1,0],[0,0]]]}'], "latitude"),
    (["COVER", 0, 0], "has no field of zones with an index"),
    (["DELIVERS", "suva", 0, 0], "has no field of zones"),
    (["FIND", '{"at":{"$near":[0,91]}}'], "latitude is from -90 to 90"),
    (["FIND", '{"at":{"$near":{"$geometry":{"type":"Point","coordinates":[0,0]},'
              '"$maxDistance":2e7}}}'], None),
    (["FIND", '{"at":{"$near":{"$geometry":{"type":"Point","coordinates":[0,0]},'
              '"$maxDistance":3e7}}}'], "at most half the way around the globe, 20015118 metres"),
    (["FIND", '{"at":{"$near":[0,0],"$maxDistance":4}}'], "π radians"),
    (["FIND", '{"$or":[{"at":{"$near":[0,0]}},{"n":1}]}'], "stands once, and at the top"),
    (["FIND", '{"at":{"$maxDistance":4}}'], "$maxDistance stands beside $near"),
    (["FIND", '{"at":{"$geoWithin":{"$circle":1}}}'], "takes one of $geometry, $box"),
    (["FIND", '{"n":{"$near":[0,0]}}'], "is a field of type int, which holds no places"),
    (["FIND", '{"$near":[0,0]}'], "stands behind a field's name"),
    (["FIND", '{"at":{"$geoWithin":{"$centerSphere":[[0,0],-1]}}}'], "is [[x, y], radius]"),
])
def test_errors_name_what_is_wrong(towns, db3, words, says):
    line = [words[0], towns, *words[1:]]
    if says is None:
        db3.call(*line)
    else:
        assert says in error(db3, *line)


def test_fields_have_to_be_named_where_there_are_several(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {"a": POINT, "b": POINT, "n": {"type": "int"}}}))
    db3.call("PUT", name, "1", '{"a":[0,0],"b":[90,0]}')
    assert "SYNTAX FIELD: one of several fields of places has to be named: a, b" in error(
        db3, "NEARBY", name, 0, 0)
    assert near(db3, name, 90, 0, "FIELD", "b").hits[0]["distance_m"] == 0
    db3.call("CREATE", name + "n", '{"fields":{"n":{"type":"int"}}}')
    assert "NOINDEX" in error(db3, "NEARBY", name + "n", 0, 0)


def test_arrays_count_by_their_nearest_point(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {"at": {**POINT, "array": True}}}))
    db3.call("PUT", name, "many", '{"at":[[0,0],[10,0],[20,0]]}')
    db3.call("PUT", name, "one", '{"at":[[12,0]]}')
    db3.call("PUT", name, "none", '{"at":[]}')
    assert near(db3, name, 11, 0).ids == ["many", "one"]
    assert near(db3, name, 11.5, 0, "RADIUS", "20000km").total == 2
    first = near(db3, name, 11.5, 0, "LIMIT", 1)
    assert first.ids == ["one"]
    second = near(db3, name, 11.5, 0, "LIMIT", 1, "AFTER", first.cursor)
    assert second.ids == ["many"] and second.cursor is None
    assert Lookup(db3.call("WITHIN", name, "BOX", -1, -1, 21, 1)).ids == ["many", "one"]


# Zones

def test_cover_is_brute_force(db3, name, seed):
    rng = random.Random(seed)
    db3.call("CREATE", name, json.dumps({"fields": {
        "zone": {"type": "geoshape", "index": True}, "n": {"type": "int"}}}))
    zones = {}

    def put(id):
        center = random_place(rng)
        rings = [star(rng, center, 10 ** rng.uniform(4, 6.6))]
        zones[id] = [[rings]]
        shape = {"type": "Polygon", "coordinates": rings}
        db3.call("PUT", name, id, json.dumps({"zone": shape, "n": rng.randrange(4)}))

    for index in range(120):
        put(f"z{index}")
    for turn in range(60):
        id = rng.choice(sorted(zones))
        if rng.random() < 0.3:
            put(id)
        elif rng.random() < 0.2:
            db3.call("REMOVE", name, id)
            del zones[id]
        else:
            # Leaves the zone alone.
            db3.call("PATCH", name, id, '{"$inc":{"n":1}}')
        place = random_place(rng)
        expected = sorted(id for id, all in zones.items() if any(holds(r, place) for r in all[0]))
        got = Lookup(db3.call("COVER", name, *place, "LIMIT", 1000))
        assert got.ids == expected and got.total == len(expected)
        point = {"zone": {"$geoIntersects": {"$geometry": {"type": "Point", "coordinates": place}}}}
        assert Lookup(db3.call("FIND", name, json.dumps(point), "LIMIT", 1000)).ids == expected
    other = name + "u"
    db3.call("CREATE", other, '{"fields":{"zone":{"type":"geoshape"}}}')
    for id in zones:
        db3.call("PUT", other, id, db3.call("FETCH", name, id, "FIELDS", "zone"))
    for _ in range(30):
        region = {"type": "Polygon", "coordinates": [star(rng, random_place(rng),
                                                          10 ** rng.uniform(5, 6.8))]}
        for operator in ["$geoIntersects", "$geoWithin"]:
            text = json.dumps({"zone": {operator: {"$geometry": region}}})
            got = Lookup(db3.call("FIND", name, text, "LIMIT", 1000)).ids
            assert got == Lookup(db3.call("FIND", other, text, "LIMIT", 1000)).ids
        assert Lookup(db3.call("WITHIN", name, json.dumps(region), "LIMIT", 1000)).ids == Lookup(
            db3.call("FIND", name, json.dumps({"zone": {"$geoIntersects": {"$geometry": region}}}),
                     "LIMIT", 1000)).ids


@pytest.mark.parametrize("earth", ["sphere", "wgs84"])
def test_radius_zones_and_delivers(db3, name, seed, earth):
    rng = random.Random(seed)
    db3.call("CREATE", name, json.dumps({"fields": {
        "at": {**POINT, "radius": "reach.km", "earth": earth},
        "reach": {"type": "object", "fields": {"km": {"type": "float"}}},
        "plain": {"type": "int"}}}))
    shops = {}
    for index in range(150):
        shops[f"s{index}"] = (random_place(rng), 10 ** rng.uniform(0, 3.5))
        at, km = shops[f"s{index}"]
        db3.call("PUT", name, f"s{index}",
                 json.dumps({"at": at, "reach": {"km": km}, "plain": index % 2}))
    db3.call("PUT", name, "nowhere", '{"reach":{"km":5}}')
    db3.call("PUT", name, "idle", '{"at":[0,0]}')
    slack = 1e-9 if earth == "sphere" else 0.006
    for _ in range(40):
        place = random_place(rng)
        for where in [[], ["WHERE", '{"plain":1}']]:
            got = set(Lookup(db3.call("COVER", name, *place, "LIMIT", 1000, *where)).ids)
            for index, (id, (at, km)) in enumerate(shops.items()):
                away = meters(place, at) / 1000
                if where and index % 2 == 0:
                    assert id not in got
                elif away < km * (1 - slack) - 1e-6:
                    assert id in got
                elif away > km * (1 + slack) + 1e-6:
                    assert id not in got
        id = rng.choice(sorted(shops))
        said = as_map(db3.call("DELIVERS", name, id, *place))
        assert list(said) == ["can_deliver", "distance_m", "radius_m", "reason"]
        assert math.isclose(said["distance_m"], meters(place, shops[id][0]), rel_tol=max(
            slack, 1e-9), abs_tol=1e-4)
        assert said["can_deliver"] == (said["distance_m"] <= said["radius_m"])
        assert said["can_deliver"] == (id in set(Lookup(
            db3.call("COVER", name, *place, "LIMIT", 1000)).ids))
    assert as_map(db3.call("DELIVERS", name, "nowhere", 0, 0))["reason"] == "it has no place in at"
    assert "reach.km is not set" in as_map(db3.call("DELIVERS", name, "idle", 0, 0))["reason"]
    assert "NOTFOUND" in error(db3, "DELIVERS", name, "ghost", 0, 0)


def test_an_ellipsoid_orders_by_its_own_distances(db3, name, seed):
    rng = random.Random(seed)
    shelf = Places(db3, name, rng, {"at": {**POINT, "earth": "wgs84"}, "n": {"type": "int"}})
    shelf.fill(300)
    for _ in range(15):
        center, radius = random_place(rng), rng.choice([None, 3_000_000])
        words = [name, *center, "LIMIT", 7] + (["RADIUS", f"{radius}m"] if radius else [])
        hits, page = [], near(db3, *words)
        while True:
            hits += page.hits
            if page.cursor is None:
                break
            page = near(db3, *words, "AFTER", page.cursor)
        ids = [hit["id"] for hit in hits]
        assert len(ids) == len(set(ids))
        away = [hit["distance_m"] for hit in hits]
        assert away == sorted(away)
        for hit in hits:
            true = meters(center, shelf.place(hit["id"]))
            assert abs(hit["distance_m"] - true) <= 0.0057 * true + 1e-5
        true = [id for distance, id in shelf.distances(center)
                if radius is None or distance <= radius]
        # Those so near to the edge that sphere and ellipsoid may differ about them.
        unsure = [id for distance, id in shelf.distances(center)
                  if radius and abs(distance - radius) <= 0.006 * radius]
        assert abs(len(ids) - len(true)) <= len(unsure)
        if radius:
            assert page.total == len(ids)
    # 1° along the equator and along a meridian: 6,378,137 m × π / 180, and less.
    db3.call("CREATE", name + "w", json.dumps({"fields": {"at": {**POINT, "earth": "wgs84"}}}))
    db3.call("PUT", name + "w", "east", '{"at":[1,0]}')
    db3.call("PUT", name + "w", "north", '{"at":[0,1]}')
    hits = near(db3, name + "w", 0, 0).hits
    assert [hit["id"] for hit in hits] == ["north", "east"]
    assert math.isclose(hits[1]["distance_m"], 6_378_137 * math.pi / 180, rel_tol=1e-12)
    assert math.isclose(hits[0]["distance_m"], 110_574.38855779878, rel_tol=1e-9)


# Hours and stock

def test_open_and_stock(db3, name):
    stock = name + "s"
    hours = {"timezone": "America/Chicago",
             "weekly": {"mon": [["10:00", "21:30"]], "sat": [["18:00", "02:00"]]},
             "exceptions": {"2026-05-04": []}}
    db3.call("CREATE", name, json.dumps({"fields": {"at": POINT, "hours": {"type": "hours"}}}))
    db3.call("CREATE", stock, json.dumps({
        "fields": {"store_id": {"type": "keyword", "index": True},
                   "sku": {"type": "keyword", "index": True}, "qty": {"type": "int", "index": True}},
        "stock_of": {"store": "store_id", "sku": "sku", "quantity": "qty"}}))
    db3.call("PUT", name, "a", json.dumps({"at": [0, 0], "hours": hours}))
    db3.call("PUT", name, "b", json.dumps({"at": [1, 0], "hours": {**hours, "exceptions": {}}}))
    db3.call("PUT", name, "c", json.dumps({"at": [2, 0]}))
    for id, qty in [("a", 5), ("b", 2), ("c", 9)]:
        db3.call("PUT", stock, id, json.dumps({"store_id": id, "sku": "p1", "qty": qty}))

    def open_at(time, *more):
        return near(db3, name, 0, 0, "OPEN", time, *more).ids

    assert open_at("2026-04-27T12:00:00-05:00") == ["a", "b"]
    assert open_at("2026-04-27T09:59:00-05:00") == []
    assert open_at("2026-04-26T01:59:00-05:00") == ["a", "b"]
    assert open_at("2026-05-04T12:00:00-05:00") == ["b"]
    assert near(db3, name, 0, 0, "OPEN", "2026-05-04T12:00:00-05:00", "RADIUS", "1000km").total == 1
    assert near(db3, name, 0, 0, "STOCK", "p1", 3, "IN", stock).ids == ["a", "c"]
    assert near(db3, name, 0, 0, "STOCK", "p1", 6, "IN", stock, "RADIUS", "10km").total == 0
    assert open_at("2026-04-27T12:00:00-05:00", "STOCK", "p1", 2, "IN", stock) == ["a", "b"]
    assert near(db3, name, 0, 0, "STOCK", "nothing", 1, "IN", stock).ids == []
    assert "SYNTAX STOCK" in error(db3, "NEARBY", name, 0, 0, "STOCK", "p1", 3, "OF", stock)
    assert "NOINDEX" in error(db3, "NEARBY", name, 0, 0, "STOCK", "p1", 3, "IN", name)
    assert "INVALID STOCK" in error(db3, "NEARBY", name, 0, 0, "STOCK", "p1", "x", "IN", stock)
    assert "NOTFOUND" in error(db3, "NEARBY", name, 0, 0, "STOCK", "p1", 3, "IN", "nowhere")
    assert "INVALID OPEN" in error(db3, "NEARBY", name, 0, 0, "OPEN", "soon")


# Planes

def test_flat_points_are_brute_force(db3, name, seed):
    rng = random.Random(seed)
    db3.call("CREATE", name, '{"fields":{"at":{"type":"2d","index":true}}}')
    points = {}
    for index in range(300):
        points[f"p{index}"] = [rng.randrange(-18, 19) * 10, rng.uniform(-180, 180)]
        db3.call("PUT", name, f"p{index}", json.dumps({"at": points[f"p{index}"]}))

    def find(operator, *more):
        filter = json.dumps({"at": operator})
        return Lookup(db3.call("FIND", name, filter, "LIMIT", 1000, *more)).ids

    for _ in range(20):
        x, y, r = rng.randrange(-18, 19) * 10, rng.uniform(-180, 180), rng.uniform(1, 100)
        inside = [id for id, p in points.items() if math.hypot(p[0] - x, p[1] - y) <= r]
        assert find({"$geoWithin": {"$center": [[x, y], r]}}) == sorted(inside)
        by_distance = sorted(
            inside, key=lambda id: math.hypot(points[id][0] - x, points[id][1] - y))
        assert find({"$near": [x, y], "$maxDistance": r}) == by_distance
        low, high = max(-180, x - r), min(180, x + r)
        box = [id for id, p in points.items()
               if low <= p[0] <= high and max(-180, y - r) <= p[1] <= min(180, y + r)]
        corners = [[low, max(-180, y - r)], [high, min(180, y + r)]]
        assert find({"$geoWithin": {"$box": corners}}) == sorted(box)
        polygon = [corners[0], [corners[1][0], corners[0][1]], corners[1],
                   [corners[0][0], corners[1][1]]]
        assert find({"$geoWithin": {"$polygon": polygon}}) == sorted(box)
    assert "is of type 2d" in error(
        db3, "FIND", name, '{"at":{"$geoWithin":{"$centerSphere":[[0,0],1]}}}')
    assert "ask with $near in FIND" in error(db3, "NEARBY", name, 0, 0)


# The life of an index

def test_an_index_is_added_and_dropped_while_writes_go_on(db3, name, seed, server):
    rng = random.Random(seed)
    shelf = Places(db3, name, rng, {"at": {"type": "geopoint"}, "n": {"type": "int"}})
    shelf.fill(600)
    assert "NOINDEX" in error(db3, "NEARBY", name, 0, 0)
    job = job_of(db3.call("ALTER", name, '{"set":{"at":{"index":true}}}'))
    shelf.churn(60)
    wait_for_job(db3, job)
    for _ in range(10):
        center = random_place(rng)
        shelf.check(center, near(db3, name, *center, "RADIUS", "9000km"), 10, 9_000_000)
    wait_for_job(db3, job_of(db3.call("ALTER", name, '{"set":{"at":{"index":false}}}')))
    assert "NOINDEX" in error(db3, "NEARBY", name, 0, 0)


def test_places_come_back_after_kills_and_resharding(own_server, seed):
    rng = random.Random(seed)
    server = own_server("--partitions", "2")
    with server.connect(3) as db:
        shelf = Places(db, "places", rng).fill(300).churn(100)
        db.call("CREATE", "zones", '{"fields":{"z":{"type":"geoshape","index":true}}}')
        db.call("PUT", "zones", "1", json.dumps({"z": {"type": "Polygon", "coordinates": SQUARE}}))
    server.restart(kill=True)
    with server.connect(3) as db:
        shelf.db = db
        for count in (None, 5):
            if count:
                wait_for_job(db, job_of(db.call("RESHARD", count)))
            for _ in range(10):
                center = random_place(rng)
                shelf.check(center, near(db, "places", *center, "RADIUS", "9000km"), 10, 9_000_000)
            assert Lookup(db.call("COVER", "zones", 0.5, 0.5)).ids == ["1"]
            shelf.churn(50)


def test_a_lookup_sees_one_version(server, name, seed):
    """A writer moves all documents at once, from one town to another: nobody sees both."""
    towns = [[10, 10], [100, -40]]
    ids = [f"p{index}" for index in range(40)]
    stop = threading.Event()
    with server.connect(3) as db:
        db.call("CREATE", name, json.dumps({"fields": {"at": POINT, "n": {"type": "int"}}}))
        for id in ids:
            db.call("PUT", name, id, json.dumps({"at": towns[0]}))

    def write():
        with server.connect(3) as writer:
            turn = 0
            while not stop.is_set():
                turn += 1
                writer.call("MULTI")
                for id in ids:
                    writer.call("PUT", name, id, json.dumps({"at": towns[turn % 2]}))
                writer.call("EXEC")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with server.connect(3) as db:
            for _ in range(300):
                for words in (["NEARBY", name, 0, 0, "LIMIT", 100, "FIELDS", "_id"],
                              ["NEARBY", name, 0, 0, "LIMIT", 100, "WHERE", '{"n":null}']):
                    got = Lookup(db.call(*words))
                    assert sorted(got.ids) == sorted(ids)
                    assert got.hits[0]["distance_m"] == got.hits[-1]["distance_m"]
                total = Lookup(db.call("WITHIN", name, "BOX", 0, 0, 20, 20)).total
                assert total in (0, len(ids))
                assert near(db, name, 10, 10, "RADIUS", "1km").total in (0, len(ids))
    finally:
        stop.set()
        thread.join()


def test_describe_shows_the_indexes_of_places(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {
        "at": POINT, "zone": {"type": "geoshape", "index": True},
        "flat": {"type": "2d", "index": True}, "hours": {"type": "hours"},
        "plain": {"type": "geopoint"}}}))
    before = {entry["field"]: entry for entry in db3.call("DESCRIBE", name)["indexes"]}
    assert {field: (entry["kind"], entry["state"]) for field, entry in before.items()} == {
        "at": ("places", "ready"), "zone": ("zones", "ready"), "flat": ("2d", "ready"),
        "hours": ("hours", "ready")}
    for index in range(3_000):
        db3.call("PUT", name, f"{index}", json.dumps({"at": [index / 20, 0]}))
    after = {entry["field"]: entry for entry in db3.call("DESCRIBE", name)["indexes"]}
    assert after["at"]["bytes"] > before["at"]["bytes"] + 3_000 * 24


def test_explain_says_how(towns, db3):
    def plan(*words):
        return as_map(db3.call("EXPLAIN", *words))

    assert "walk outwards" in plan("NEARBY", towns, 0, 0)["plan"]
    assert "every match compared" in plan("NEARBY", towns, 0, 0, "WHERE", '{"n":1}')["plan"]
    assert "at: places" in plan("WITHIN", towns, "BOX", 0, 0, 1, 1)["plan"]
    assert "by distance" in plan("FIND", towns, '{"at":{"$near":[0,0]}}')["plan"]


def test_a_lookup_can_be_drawn(towns, db3):
    lookups = [["NEARBY", towns, -122, 47, "LIMIT", 2],
               ["NEARBY", towns, -122, 47, "RADIUS", "90km"],
               ["WITHIN", towns, "BOX", 170, -30, -160, 0],
               ["WITHIN", towns, "CIRCLE", 179, -17, "2000km"],
               ["WITHIN", towns, json.dumps({"type": "Polygon", "coordinates": [
                   [[-123, 47], [-122, 47], [-122, 48], [-123, 48], [-123, 47]]]})],
               ["FIND", towns, '{"at":{"$near":[-122,47],"$maxDistance":0.1}}']]
    for lookup in lookups:
        hits = Lookup(db3.call(*lookup)).ids
        assert len(hits) >= 1
        drawing = json.loads(db3.call("EXPLAIN", "AS", "geojson", *lookup))
        assert drawing["type"] == "FeatureCollection"
        kinds = {}
        for feature in drawing["features"]:
            kinds.setdefault(feature["properties"]["kind"], []).append(feature)
        assert len(kinds["region"]) == 1 and len(kinds["cells"]) == 1
        assert [f["properties"]["id"] for f in kinds["hit"]] == hits
        for feature in kinds["region"] + kinds["cells"]:
            shape = feature["geometry"]
            polygons = shape["coordinates"]
            for rings in [polygons] if shape["type"] == "Polygon" else polygons:
                for ring in rings:
                    assert ring[0] == ring[-1] and len(ring) >= 4
                    assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in ring)
        picture = xml.etree.ElementTree.fromstring(db3.call("EXPLAIN", "AS", "svg", *lookup))
        assert picture.tag.endswith("}svg") and picture.get("viewBox").startswith("0 0 ")
        classes = [node.get("class") for node in picture]
        assert classes.count("region") == 1 and classes.count("hit") == len(hits)
        assert [title.text for node in picture for title in node if node.get("class") == "hit"] \
            == hits
    assert "there is nothing to draw" in error(db3, "EXPLAIN", "AS", "svg", "FIND", towns, "{}")
    assert "SYNTAX AS: is geojson or svg" in error(
        db3, "EXPLAIN", "AS", "png", "NEARBY", towns, 0, 0)
    db3.call("PUT", towns, "<&\">", '{"at":[0,0]}')
    near_zero = ["NEARBY", towns, 0, 0, "LIMIT", 1]
    picture = xml.etree.ElementTree.fromstring(db3.call("EXPLAIN", "AS", "svg", *near_zero))
    assert [title.text for node in picture for title in node][0] == "<&\">"


def test_shapes_that_would_hold_a_loop_for_long_are_refused(db3, name):
    db3.call("CREATE", name, '{"fields":{"at":{"type":"geopoint","index":true}}}')
    teeth = [[-100 + r * math.cos(a), 40 + r * math.sin(a)]
             for a, r in ((2 * math.pi * i / 12_000, 5 if i % 2 else 9.5) for i in range(12_000))]
    squares = [[[[x / 10, y / 10], [x / 10 + .05, y / 10], [x / 10 + .05, y / 10 + .05],
                 [x / 10, y / 10 + .05], [x / 10, y / 10]]] for x in range(60) for y in range(50)]
    smooth = [[9 * math.cos(a), 9 * math.sin(a)]
              for a in (2 * math.pi * i / 12_000 for i in range(12_000))]
    for shape, refusal in (
            ({"type": "Polygon", "coordinates": [teeth + teeth[:1]]}, "so close together"),
            ({"type": "MultiPolygon", "coordinates": squares}, "at most 2000 rings"),
            ({"type": "Polygon", "coordinates": [smooth + smooth[:1]]}, None)):
        start = time.monotonic()
        if refusal:
            with pytest.raises(RespError, match=f"INVALID .*{refusal}"):
                db3.call("WITHIN", name, json.dumps(shape))
        else:
            assert as_map(db3.call("WITHIN", name, json.dumps(shape)))["total"] == 0
        assert time.monotonic() - start < 1.5 * PATIENCE
    db3.call("DROP", name)


def test_indexes_of_places_are_described_and_stock_takes_parameters(db3, name):
    db3.call("CREATE", name, '{"fields":{"at":{"type":"geopoint","index":true}}}')
    db3.call("CREATE", name + "s", json.dumps({
        "fields": {"shop": {"type": "keyword", "index": True},
                   "sku": {"type": "keyword", "index": True}, "n": {"type": "int", "index": True}},
        "stock_of": {"store": "shop", "sku": "sku", "quantity": "n"}}))
    db3.call("PUT", name, "a", '{"at":[1,1]}')
    db3.call("PUT", name + "s", "1", '{"shop":"a","sku":"tea","n":3}')
    described = as_map(db3.call("DESCRIBE", name))["indexes"]
    assert [as_map(index)["field"] for index in described] == ["at"]
    hits = near(db3, name, 0, 0, "STOCK", "$k", "$n", "IN", name + "s",
                "PARAMS", '{"k":"tea","n":3}').hits
    assert [hit["id"] for hit in hits] == ["a"]
    assert "no parameter r" in error(db3, "NEARBY", name, 0, 0, "RADIUS", "$r", "PARAMS", "{}")
    now = int(time.time() * 1000)
    assert "no field of hours" in error(db3, "NEARBY", name, 0, 0, "OPEN", now)
    db3.call("DROP", name)
    db3.call("DROP", name + "s")


def test_stock_asks_for_the_rights_of_its_collection(server, db3, name):
    stock = name + "s"
    db3.call("CREATE", name, json.dumps({"fields": {"at": POINT}}))
    db3.call("CREATE", stock, json.dumps({
        "fields": {"shop": {"type": "keyword"}, "sku": {"type": "keyword"}, "qty": {"type": "int"}},
        "stock_of": {"store": "shop", "sku": "sku", "quantity": "qty"}}))
    db3.call("PUT", name, "a", '{"at":[0,0]}')
    db3.call("PUT", stock, "1", '{"shop":"a","sku":"tea","qty":1}')
    db3.call("ACL", "SETUSER", "clerk", "on", ">pw", f"~{name}", "+@read")
    words = ["NEARBY", name, 0, 0, "STOCK", "tea", 1, "IN", stock]
    assert near(db3, *words[1:]).ids == ["a"]
    with server.connect(3) as clerk:
        clerk.call("AUTH", "clerk", "pw")
        assert near(clerk, name, 0, 0).ids == ["a"]
        assert error(clerk, *words).startswith("NOPERM")
        assert error(clerk, "EXPLAIN", "AS", "svg", *words).startswith("NOPERM")
    db3.call("ACL", "DELUSER", "clerk")
