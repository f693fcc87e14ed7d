"""A collection of places beside a Python twin that answers by brute force on the sphere."""

import json
import math

from aisle_resp import Lookup

RADIUS_M = 6_371_010.0
FIELDS = {"at": {"type": "geopoint", "index": True}, "n": {"type": "int", "index": True},
          "cat": {"type": "keyword", "index": True}, "plain": {"type": "int"}}
#: Nearer together than this two distances may come in either order: rounding decides.
SLACK_M = 1e-6


def vector(place):
    """The unit vector of a (longitude, latitude)."""
    longitude, latitude = map(math.radians, place)
    return (math.cos(longitude) * math.cos(latitude), math.sin(longitude) * math.cos(latitude),
            math.sin(latitude))


def meters(a, b):
    """The great-circle distance of two (longitude, latitude) pairs, right at any distance."""
    p, q = vector(a), vector(b)
    apart = math.dist(p, q)
    together = math.dist(p, [-x for x in q])
    return 2 * math.atan2(apart, together) * RADIUS_M


def slack(distance):
    """How much two distances that are told apart may be out of order: within a kilometre of the
    antipode the order is that of chords, which are no finer than a few centimetres there."""
    return SLACK_M if distance < 20_014_000 else 0.1


def random_place(rng):
    """A place: dense at the poles, at the antimeridian, in a few towns, at corners of the cube."""
    kind = rng.randrange(8)
    if kind == 0:
        return [rng.uniform(-180, 180), rng.choice([-1, 1]) * (90 - rng.random() ** 3)]
    if kind == 1:
        return [rng.choice([-1, 1]) * (180 - rng.random() ** 3), rng.uniform(-80, 80)]
    if kind in (2, 3):
        town = rng.choice([(-122.33, 47.6), (151.2, -33.9), (0, 0), (179.99, -16.5)])
        return [max(-180, min(180, town[0] + rng.gauss(0, 0.1))), town[1] + rng.gauss(0, 0.1)]
    if kind == 4:
        return [rng.choice([-135, -45, 45, 135]) + rng.gauss(0, 0.01),
                rng.choice([-1, 1]) * 35.2643896827 + rng.gauss(0, 0.01)]
    if kind == 5:
        # Places that many share.
        return [rng.randrange(-2, 3) * 90.0, rng.randrange(-2, 3) * 45.0]
    return [rng.uniform(-180, 180), math.degrees(math.asin(rng.uniform(-1, 1)))]


def near(db, *words):
    """NEARBY, as a Lookup."""
    return Lookup(db.call("NEARBY", *words))


class Places:
    """A collection and its twin: `documents` by id."""

    def __init__(self, db, name, rng, fields=FIELDS):
        self.db, self.name, self.rng = db, name, rng
        self.documents = {}
        db.call("CREATE", name, json.dumps({"fields": fields}))

    def document(self):
        rng = self.rng
        place = random_place(rng)
        at = rng.choice([place, {"type": "Point", "coordinates": place}])
        document = {"at": at, "n": rng.randrange(100), "cat": rng.choice("abcde"),
                    "plain": rng.randrange(4)}
        if rng.random() < 0.05:
            del document["at"]
        return document

    def fill(self, count):
        ids = [f"p{len(self.documents) + index}" for index in range(count)]
        self.put(ids)
        return self

    def put(self, ids):
        for id in ids:
            self.documents[id] = self.document()
        self.sent([("PUT", self.name, id, json.dumps(self.documents[id])) for id in ids])

    def sent(self, commands):
        for reply in self.db.pipeline(commands):
            assert not isinstance(reply, Exception) and "Error" not in type(reply).__name__, reply

    def churn(self, count):
        """Writes that move places, leave them alone, take them away and remove documents."""
        for _ in range(count):
            rng = self.rng
            kind = rng.randrange(5)
            if kind == 0 or not self.documents:
                self.put([f"p{rng.randrange(2 * len(self.documents) + 2)}"])
                continue
            id = rng.choice(sorted(self.documents))
            if kind == 1:
                del self.documents[id]
                self.db.call("REMOVE", self.name, id)
            elif kind == 2:
                self.documents[id]["n"] = rng.randrange(100)
                self.db.call("PATCH", self.name, id,
                             json.dumps({"$set": {"n": self.documents[id]["n"]}}))
            elif kind == 3:
                self.documents[id].pop("at", None)
                self.db.call("PATCH", self.name, id, '{"$unset":{"at":1}}')
            else:
                place = random_place(rng)
                self.documents[id]["at"] = place
                self.db.call("PATCH", self.name, id, json.dumps({"$set": {"at": place}}))
        return self

    def place(self, id):
        at = self.documents[id].get("at")
        return at["coordinates"] if isinstance(at, dict) else at

    def distances(self, center, matches=lambda document: True):
        """(distance, id) of all that match, in the order of hits."""
        found = [(meters(center, self.place(id)), id) for id, document in self.documents.items()
                 if "at" in document and matches(document)]
        return sorted(found)

    def check_order(self, center, hits):
        """Hits are as far as they say, nearest first, those of one place by id."""
        for hit in hits:
            true = meters(center, self.place(hit["id"]))
            assert math.isclose(hit["distance_m"], true, rel_tol=1e-9, abs_tol=1e-5), (hit, true)
        for one, other in zip(hits, hits[1:]):
            least = one["distance_m"] - slack(one["distance_m"])
            assert least <= other["distance_m"], (one, other)
            if self.place(one["id"]) == self.place(other["id"]):
                assert one["id"] < other["id"]

    def check(self, center, got, limit, radius=None, matches=lambda document: True, skip=0):
        """A reply without a cursor against brute force."""
        true = self.distances(center, matches)
        if radius is not None:
            sure = sum(distance <= radius - SLACK_M for distance, _ in true)
            true = [pair for pair in true if pair[0] <= radius + SLACK_M]
            assert sure <= got.total <= len(true)
            true = true[:got.total]
        hits = got.hits
        self.check_order(center, hits)
        expected = true[skip:skip + limit]
        assert len(hits) == len(expected)
        for hit, (distance, _) in zip(hits, expected):
            assert abs(hit["distance_m"] - distance) <= 1e-9 * distance + 1e-5
        # What is surely nearer than the last hit is a hit.
        if skip == 0 and expected:
            ids = {hit["id"] for hit in hits}
            for distance, id in expected:
                if distance < expected[-1][0] - slack(expected[-1][0]):
                    assert id in ids


# Polygons, without the server's own code

def _cross(a, b):
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def _crosses(a, b, c, d):
    """Whether the arcs ab and cd, shorter than half a turn, cross; for random ones."""
    one, other = _cross(a, b), _cross(c, d)
    line = _cross(one, other)
    for x in (line, tuple(-k for k in line)):
        if all(_dot(_cross(p, x), n) > 0 and _dot(_cross(x, q), n) > 0
               for p, q, n in ((a, b, one), (c, d, other))):
            return True
    return False


def holds(rings, place):
    """Whether a polygon, smaller than a hemisphere, holds a place: by crossings on the way to the
    place opposite of it."""
    corners = [[vector(corner) for corner in ring] for ring in rings]
    middle = [math.fsum(p[k] for p in corners[0][:-1]) for k in range(3)]
    length = math.hypot(*middle)
    outside = [-x / length + y for x, y in zip(middle, (1.1e-3, -2.3e-3, 0.7e-3))]
    length = math.hypot(*outside)
    outside = [x / length for x in outside]
    p = vector(place)
    count = sum(_crosses(outside, p, a, b)
                for ring in corners for a, b in zip(ring, ring[1:]))
    return count % 2 == 1


def star(rng, center, reach, count=8):
    """A ring around a place, as far as `reach` metres, with random corners."""
    p = vector(center)
    north = [-p[2] * p[0], -p[2] * p[1], 1 - p[2] * p[2]]
    if math.hypot(*north) < 1e-9:
        north = [1, 0, 0]
    length = math.hypot(*north)
    north = [x / length for x in north]
    east = _cross(north, p)
    ring = []
    for index in range(count):
        turn = 2 * math.pi * (index + rng.uniform(0.1, 0.9)) / count
        angle = reach / RADIUS_M * rng.uniform(0.4, 1)
        q = [math.cos(angle) * x + math.sin(angle) * (math.cos(turn) * y + math.sin(turn) * z)
             for x, y, z in zip(p, north, east)]
        ring.append([math.degrees(math.atan2(q[1], q[0])),
                     math.degrees(math.atan2(q[2], math.hypot(q[0], q[1])))])
    return ring + ring[:1]


def in_box(box, place):
    west, south, east, north = box
    longitude, latitude = place
    if not south <= latitude <= north:
        return False
    if abs(latitude) == 90:
        return True
    span = (east - west) % 360 if east != west + 360 else 360
    return (longitude - west) % 360 <= span
