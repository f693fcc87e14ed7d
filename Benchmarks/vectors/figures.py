"""Recall, interpolation and the tables of a run."""

import math

import numpy as np


def recall(found, base, query, truth_distance, metric, k):
    """Mean share of the k nearest that were found.

    A row counts when its true distance is no greater than that of the k-th nearest (with 1e-6 of
    slack): among rows at equal distance either answer is right. A row returned twice counts once;
    numbers below zero mean "nothing".
    """
    hits = 0
    for row, ids in enumerate(found[:, :k]):
        ids = np.unique(ids[ids >= 0])
        rows = base[ids].astype(np.float64)
        one = query[row].astype(np.float64)
        distance = 1 - rows @ one if metric == "cosine" else ((rows - one) ** 2).sum(1)
        limit = truth_distance[row, k - 1]
        hits += min(int((distance <= limit + 1e-6 * max(1.0, abs(limit))).sum()), k)
    return hits / (len(found) * k)


def at_recall(points, wanted):
    """Queries per second at a recall, between the two measured points around it.

    `points`: (recall, rate) pairs in rising order of effort. Log rate is taken as linear in
    -log(1 - recall). None where the curve does not reach the recall; the first point's rate where
    even that is above it (a bound from below).
    """
    curve = [(-math.log(max(1 - recall, 1e-6)), math.log(rate)) for recall, rate in points]
    x = -math.log(1 - wanted)
    if curve and curve[0][0] >= x:
        return math.exp(curve[0][1])
    for (x0, y0), (x1, y1) in zip(curve, curve[1:], strict=False):
        if x0 <= x <= x1:
            share = (x - x0) / (x1 - x0) if x1 > x0 else 0
            return math.exp(y0 + share * (y1 - y0))
    return None


def table(head, rows):
    """A Markdown table; numbers to the right."""
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(head) - 1)) + "|")
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def number(value, digits=0):
    """A figure for a table; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def ratio(value, other):
    """value / other for a table."""
    return "–" if not value or not other else f"{value / other:.2f}×"


def summary(curves, built):
    """The table of one set: rates at 0.95 and 0.99, build and memory, each against hnswlib."""
    rows = []
    first = "hnswlib" if "hnswlib" in curves else next(iter(curves))
    rates = {
        name: [
            at_recall([(p["recall"], p["rate"]) for p in curve], wanted) for wanted in (0.95, 0.99)
        ]
        for name, curve in curves.items()
    }
    for name, curve in curves.items():
        build = built[name]
        near = min(curve, key=lambda p: abs(p["recall"] - 0.99))
        rows.append(
            [
                name,
                number(rates[name][0]),
                ratio(rates[name][0], rates[first][0]),
                number(rates[name][1]),
                ratio(rates[name][1], rates[first][1]),
                number(near.get("p50_us")),
                number(near.get("p99_us")),
                number(build["build_cpu_seconds"], 1),
                ratio(build["build_cpu_seconds"], built[first]["build_cpu_seconds"]),
                number(build["bytes"] / 1e6, 1),
                ratio(build["bytes"], built[first]["bytes"]),
                number(build["resident_growth"] / 1e6, 1),
            ]
        )
    head = [
        "index",
        "q/s at 0.95",
        "to " + first,
        "q/s at 0.99",
        "to " + first,
        "p50 µs",
        "p99 µs",
        "build CPU s",
        "to " + first,
        "MB",
        "to " + first,
        "resident MB",
    ]
    return table(head, rows), rates
