"""Tests of what the benchmark's verdicts rest on: python -m pytest Benchmarks/vectors."""

import math

import numpy as np

import figures
import plot
import prepare
import scenarios


def test_recall_counts_ties_and_each_row_once():
    base = np.array([[1, 0], [0, 1], [0, 1], [-1, 0]], np.float32)
    query = np.array([[0, 1]], np.float32)
    _, distance = scenarios.whole(Base(base), np.arange(4), query, 2)
    for found, share in (([1, 2], 1), ([2, 1], 1), ([1, 1], 0.5), ([1, -1], 0.5), ([0, 3], 0)):
        answer = np.array([found], np.int32)
        assert figures.recall(answer, base, query, distance, "cosine", 2) == share


class Base:
    """As much of a set as `whole` looks at."""

    def __init__(self, base):
        self.base = base
        self.metric = "cosine"


def test_exact_answers_are_those_of_plain_distances():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(500, 7)).astype(np.float32)
    query = rng.normal(size=(20, 7)).astype(np.float32)
    ids, distances = prepare.exact(base, query, "l2", k=5)
    plain = ((query[:, None].astype(np.float64) - base[None]) ** 2).sum(2)
    assert (ids == np.argsort(plain, axis=1)[:, :5]).all()
    assert np.allclose(distances, np.sort(plain, axis=1)[:, :5])


def test_rates_are_interpolated_between_points_and_not_beyond():
    points = [(0.9, 1000.0), (0.99, 100.0)]
    middle = 1 - 10**-1.5
    assert math.isclose(figures.at_recall(points, middle), math.sqrt(1000 * 100))
    assert math.isclose(figures.at_recall(points, 0.99), 100)
    assert figures.at_recall(points, 0.999) is None
    assert math.isclose(figures.at_recall(points, 0.5), 1000)


def test_a_mask_becomes_words_with_row_i_at_bit_i():
    mask = np.zeros(700, bool)
    mask[[0, 63, 64, 699]] = True
    words = scenarios.bitmap(mask)
    assert len(words) % 8 == 0
    assert [i for i in range(700) if words[i // 64] >> np.uint64(i % 64) & np.uint64(1)] == [
        0,
        63,
        64,
        699,
    ]


def test_a_plot_is_well_formed(tmp_path):
    from xml.etree import ElementTree

    path = tmp_path / "plot.svg"
    plot.curves(path, "a < b", {"one": [(0.9, 100.0), (0.99, 10.0)], "two & three": [(0.5, 1.0)]})
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
