"""Lookups by place at their edges: the antimeridian, planes, parameters, schemas that change."""

import json
import random
import threading

import pytest

from aisle_resp import Lookup, RespError, as_map
from place_shelf import Places, in_box, near
from test_place_contract import POINT, error
from test_schema import job_of, wait_for_job

ZONE = {"type": "geoshape", "index": True}


# Boxes

@pytest.mark.parametrize("indexed", [True, False])
def test_boxes_go_across_the_antimeridian(db3, name, seed, indexed):
    shelf = Places(db3, name, random.Random(seed),
                   {"at": {"type": "geopoint", "index": indexed}})
    shelf.fill(500)
    for west, south, east, north in [(170, -60, -170, 60), (179.5, -90, -179.5, 90),
                                     (100, 10, 90, 20), (180, -80, -180, 80)]:
        expected = sorted(
            id for id, document in shelf.documents.items()
            if "at" in document and in_box((west, south, east, north), shelf.place(id)))
        box = {"at": {"$geoWithin": {"$box": [[west, south], [east, north]]}}}
        got = Lookup(db3.call("FIND", name, json.dumps(box), "LIMIT", 1000)).ids
        assert sorted(got) == expected
        assert db3.call("COUNT", name, json.dumps({"$nor": [box]})) == 500 - len(expected)
        if indexed:
            words = ["WITHIN", name, "BOX", west, south, east, north, "LIMIT", 1000]
            assert sorted(Lookup(db3.call(*words)).ids) == expected
    db3.call("DROP", name)


def test_boxes_of_shapes_go_across_the_antimeridian(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {"area": ZONE}}))
    for id, west, east in [("west", 178, 179), ("across", 179, -179), ("east", -179, -178),
                           ("far", 0, 1)]:
        ring = [[west, 0], [east, 0], [east, 1], [west, 1], [west, 0]]
        db3.call("PUT", name, id, json.dumps({"area": {"type": "Polygon", "coordinates": [ring]}}))
    whole = {"area": {"$geoWithin": {"$box": [[177, -1], [-177, 2]]}}}
    assert Lookup(db3.call("FIND", name, json.dumps(whole))).ids == ["across", "east", "west"]
    half = {"area": {"$geoWithin": {"$box": [[178.5, -1], [-177, 2]]}}}
    assert Lookup(db3.call("FIND", name, json.dumps(half))).ids == ["across", "east"]
    met = Lookup(db3.call("WITHIN", name, "BOX", 178.5, 0.2, -179.5, 0.4)).ids
    assert met == ["across", "west"]
    db3.call("DROP", name)


def test_a_box_on_a_plane_does_not_wrap(db3, name):
    db3.call("CREATE", name, '{"fields":{"at":{"type":"2d","index":true}}}')
    db3.call("PUT", name, "high", '{"at":[0,150]}')
    assert Lookup(db3.call("WITHIN", name, "BOX", -1, 100, 1, 180)).ids == ["high"]
    assert "INVALID BOX: west is at most east on a plane" in error(
        db3, "WITHIN", name, "BOX", 1, 0, -1, 1)
    assert "INVALID BOX: south is at most north" in error(
        db3, "WITHIN", name, "BOX", 0, 1, 1, 0)
    for box, says in [([[1, 0], [-1, 1]], "a plane has no antimeridian"),
                      ([[0, 1], [1, 0]], "south at most north")]:
        text = error(db3, "FIND", name, json.dumps({"at": {"$geoWithin": {"$box": box}}}))
        assert text.startswith("INVALID at.$geoWithin.$box") and says in text
    db3.call("DROP", name)


# Arguments

@pytest.fixture
def shops(db3, name):
    db3.call("CREATE", name, json.dumps({"fields": {
        "at": {**POINT, "radius": "km"}, "km": {"type": "float"}}}))
    db3.call("PUT", name, "a", '{"at":[1,2],"km":50}')
    db3.call("PUT", name, "b", '{"at":[3,4],"km":0.5}')
    yield name
    db3.call("DROP", name)


def test_every_number_of_a_lookup_may_be_a_parameter(shops, db3):
    params = ["PARAMS", json.dumps({"x": 1, "y": 2.0, "r": "1km", "w": 0, "e": "2", "n": 3})]
    assert near(db3, shops, "$x", "$y", "RADIUS", "$r", *params).ids == ["a"]
    for words in (["CIRCLE", "$x", "$y", "$r"], ["BOX", "$w", 0, "$e", "$n"]):
        assert Lookup(db3.call("WITHIN", shops, *words, *params)).ids == ["a"]
    assert Lookup(db3.call("COVER", shops, "$x", "$y", *params)).ids == ["a"]
    assert as_map(db3.call("DELIVERS", shops, "a", "$x", "$y", *params))["can_deliver"] is True
    square = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 3], [0, 3], [0, 0]]]}
    region = ["WITHIN", shops, "$region", "PARAMS", json.dumps({"region": square})]
    assert Lookup(db3.call(*region)).ids == ["a"]
    for words in (["WITHIN", shops, "BOX", "$w", 0, 1, "$nobody"], ["NEARBY", shops, "$none", 0],
                  ["COVER", shops, 0, "$none"], ["DELIVERS", shops, "a", 0, "$none"]):
        assert "has no parameter" in error(db3, *words, *params)
    blob = ["BLOB", "x", b"\x01", "PARAMS", "{}"]
    assert "takes no bytes" in error(db3, "WITHIN", shops, "CIRCLE", "$x", 0, "1km", *blob)


def test_a_regions_cursor_belongs_to_the_region(shops, db3):
    def square(east, **spacing):
        ring = [[0, 0], [east, 0], [east, 5], [0, 5], [0, 0]]
        return json.dumps({"type": "Polygon", "coordinates": [ring]}, **spacing)

    ring = '"coordinates":[[[0,0],["$e",0],["$e",5],[0,5],[0,0]]]'
    within = [f'{{"type":"Polygon",{ring}}}', "PARAMS", '{"e":4}']
    for region, again in ((square(4), square(4, separators=(",", ":"))), (within[0], within[0])):
        options = within[1:] if "$" in region else []
        first = Lookup(db3.call("WITHIN", shops, region, "LIMIT", 1, *options))
        assert (first.ids, first.total) == (["a"], 2)
        rest = ["LIMIT", 1, "AFTER", first.cursor]
        assert Lookup(db3.call("WITHIN", shops, again, *rest, *options)).ids == ["b"]
        # Another region, and the same one of another lookup.
        for other in (["WITHIN", shops, square(4.5)], ["FIND", shops, "{}"],
                      ["WITHIN", shops, region, "WHERE", '{"km":50}']):
            assert "is a cursor of this query" in error(
                db3, *other, *rest, *(options if region in other else []))
    for wrong, says in (("{", "region"), ('{"type":"Point","coordinates":[1,2]}', "got a Point"),
                        ('{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}', "region")):
        assert says in error(db3, "WITHIN", shops, wrong)


@pytest.mark.parametrize("words, says", [
    (["NEARBY", "0x10", 0], "INVALID longitude: is a number of degrees, got 0x10"),
    (["NEARBY", 0, "0x1p3"], "INVALID latitude: is a number of degrees, got 0x1p3"),
    (["NEARBY", 0, 0, "RADIUS", "0x10m"], "INVALID RADIUS: is a distance with its unit"),
    (["WITHIN", "BOX", 0, 0, 1, "0X1"], "INVALID north: is a number of degrees, got 0X1"),
    (["WITHIN", "BOX", 0, 0, 1, "LIMIT", 5], "SYNTAX BOX: takes west south east north"),
    (["WITHIN", "BOX", 0, 0, "LIMIT", 5], "SYNTAX BOX: takes west south east north"),
    (["WITHIN", "CIRCLE", 0, 0, "LIMIT", 5], "SYNTAX CIRCLE: takes a longitude, a latitude"),
    (["WITHIN", "CIRCLE", 0, 0], "SYNTAX CIRCLE: takes a longitude, a latitude"),
    (["WITHIN", "BOX", 0, 0, 1, 1, "BOTH", 1], "SYNTAX BOTH: is no option"),
    (["NEARBY", 0, 0, "AT", 3], "SYNTAX AT: is no option of this command; FETCH, MFETCH"),
])
def test_what_is_no_number_is_named(shops, db3, words, says):
    assert says in error(db3, words[0], shops, *words[1:])


def test_decimal_forms_are_numbers(shops, db3):
    assert near(db3, shops, "+1", "2.", "RADIUS", "1m").ids == ["a"]
    assert near(db3, shops, "10e-1", ".2E1", "RADIUS", "1m").ids == ["a"]


# DELIVERS among the lookups

def test_delivers_takes_what_every_lookup_takes(shops, db3):
    version = as_map(db3.call("PUT", shops, "a", '{"at":[1,2],"km":50}'))["version"]
    words = ["DELIVERS", shops, "a", 1.1, 2]
    plain = as_map(db3.call(*words))
    assert list(plain) == ["can_deliver", "distance_m", "radius_m", "reason"]
    described = as_map(db3.call(*words, "META", "TIMEOUT", "5s", "PARTIAL", "PARAMS", "{}"))
    assert described == {**plain, "version": version}
    assert "SYNTAX AT: is no option of this command; FETCH" in error(db3, *words, "AT", version)
    assert "SYNTAX LIMIT" in error(db3, *words, "LIMIT", 1)
    assert "INVALID TIMEOUT" in error(db3, *words, "TIMEOUT", "soon")
    assert error(db3, "EXPLAIN", "DELIVERS", shops, "a").startswith("SYNTAX DELIVERS: takes an id")
    plan = as_map(db3.call("EXPLAIN", *words))
    assert plan["documents_read"] == 1 and "within 50 km" in plan["plan"]
    assert "NOTFOUND" in error(db3, "EXPLAIN", "DELIVERS", shops, "none", 1, 2)
    drawing = json.loads(db3.call("EXPLAIN", "AS", "geojson", *words))
    kinds = [feature["properties"]["kind"] for feature in drawing["features"]]
    assert sorted(kinds) == ["center", "hit", "region"]
    assert db3.call("EXPLAIN", "AS", "svg", *words).startswith("<svg")


# Schemas that change meanwhile

@pytest.mark.parametrize("kind", ["NEARBY", "WITHIN", "COVER", "SIMILAR"])
def test_a_lookup_that_a_change_of_schema_overtakes_begins_anew(server, db3, name, kind):
    fields = {"at": {**POINT, "radius": "km"}, "km": {"type": "float"},
              "v": {"type": "vector", "dimensions": 2, "index": {"kind": "flat"}}}
    db3.call("CREATE", name, json.dumps({"fields": fields}))
    count, found = 4000, 40
    db3.pipeline([("PUT", name, f"{n:04}", json.dumps(
        {"at": [n % 360 - 180, 0], "km": 20_000, "v": [n, 1], "odd": n % 100}))
        for n in range(count)])
    words = {"NEARBY": ["NEARBY", name, 0, 0, "RADIUS", "20015km"],
             "WITHIN": ["WITHIN", name, "BOX", -180, -90, 180, 90],
             "COVER": ["COVER", name, 0, 0],
             "SIMILAR": ["SIMILAR", name, "VEC", "[1,1]"]}[kind]
    # A filter that reads documents takes many slices.
    words += ["WHERE", '{"odd":7}', "TIMEOUT", "60s"]
    stop, problems, answers = threading.Event(), [], []

    def ask():
        with server.connect(3) as mine:
            while not stop.is_set():
                reply = mine.reply(*words)
                if isinstance(reply, RespError):
                    problems.append(reply.text)
                else:
                    answers.append(Lookup(reply).total)

    thread = threading.Thread(target=ask)
    thread.start()
    for n in range(10):
        wait_for_job(db3, job_of(db3.call("ALTER", name, json.dumps(
            {"add": {f"f{n}": {"type": "int", "index": True}}}))))
    stop.set()
    thread.join()
    assert not problems and answers and set(answers) == {found}, (problems[:3], set(answers))
    db3.call("DROP", name)
