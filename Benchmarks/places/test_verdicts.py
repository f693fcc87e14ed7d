"""Tests of what the benchmark's verdicts rest on: python -m pytest Benchmarks/places."""

import struct
import types

import numpy as np
import pytest

import places
import verdicts
import wire


def test_distances_are_those_of_great_circles():
    quarter = np.pi / 2 * places.RADIUS
    points = np.array([[90.0, 0], [0, 90], [180, 0], [0, 0]])
    assert np.allclose(places.distances(points, (0, 0)), [quarter, quarter, 2 * quarter, 0])


def test_points_are_inside_of_their_ring():
    square = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]
    points = np.array([[1.0, 1], [3, 1], [-1, 1], [1, 3]])
    assert places.inside(square, points).tolist() == [True, False, False, False]
    ring = places.ring((-100, 40), 1_000, 30, 25, 0.15, 1)
    assert len(ring) == 1_001 and ring[0] == ring[-1]
    assert places.inside(ring, np.array([[-100.0, 40], [-99, 40]])).tolist() == [True, False]


def test_requests_and_replies_are_resp():
    assert wire.command("PUT", "c", 1) == b"*3\r\n$3\r\nPUT\r\n$1\r\nc\r\n$1\r\n1\r\n"
    data = b"%2\r\n$5\r\ntotal\r\n:3\r\n$4\r\nhits\r\n*2\r\n,1.5\r\n_\r\n"
    assert wire.reply(data)[0] == {b"total": 3, b"hits": [1.5, None]}
    with pytest.raises(ValueError, match="NOINDEX"):
        wire.reply(b"-NOINDEX c: no places\r\n")


def test_rows_of_postgres_are_read():
    row = struct.pack(">h", 2) + struct.pack(">i", 2) + b"17" + struct.pack(">i", -1)
    data = wire._message(b"2", b"") + wire._message(b"D", row) + wire._message(b"Z", b"I")
    assert wire.postgres_rows(data) == [["17", None]]
    with pytest.raises(ValueError, match="broken"):
        wire.postgres_rows(wire._message(b"E", b"broken\0"))


def test_wrong_answers_are_told_from_right_ones():
    rng = np.random.default_rng(3)
    points = places.generated(2_000, rng)
    zones = places.generated_zones(50, 31, rng)
    set_ = types.SimpleNamespace(points=points, zones=zones)
    query = points[5].tolist()
    far = places.distances(points, query)
    order = np.argsort(far)[:10]
    right = {"total": None, "hits": [(int(n), float(far[n])) for n in order]}
    wrong = {"total": None, "hits": [*right["hits"][:9], (0, far.max())]}
    assert verdicts.judge("nearest", set_, [query, query], [right, wrong]) == 0.5
    city = places.polygon(places.ring(query, 30, 20, 5, 0.2, 0))
    count = int(places.inside(city["coordinates"][0], points).sum())
    answers = [{"total": count, "hits": None}, {"total": count + 50, "hits": None}]
    assert verdicts.judge("city", set_, [city, city], answers) == 0.5
    middle = np.mean(zones[7]["coordinates"][0][:-1], axis=0)
    holds = [n for n, zone in enumerate(zones)
             if places.inside(zone["coordinates"][0], middle[None])[0]]
    assert 7 in holds
    answers = [{"total": None, "hits": [(n, None) for n in holds]}, {"total": None, "hits": []}]
    assert verdicts.judge("cover", set_, [middle.tolist()] * 2, answers) == 0.5
