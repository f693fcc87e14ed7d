"""What the answers are worth, and the tables of a run."""

import numpy as np

import places

HEAD = {"pipelined": "8 × 16", "clients": "8 × 1", "single": "1 × 1"}


def judge(scenario, set_, queries, answers):
    """The share of the shown answers that brute force agrees with.

    Distances may differ by 0.5 % and 1 m: servers measure on different spheres, and Redis keeps
    places to 0.6 m. Counts of polygons may differ by 0.5 % and 1: edges are straight on a map for
    some and on the globe for others. A zone is right if every peer would find it on a map.
    """
    right = 0
    for query, answer in zip(queries, answers, strict=False):
        if scenario in ("radius", "nearest"):
            right += _near(scenario, set_.points, query, answer)
        elif scenario == "cover":
            right += _cover(set_.zones, query, answer)
        else:
            count = int(places.inside(query["coordinates"][0], set_.points).sum())
            right += _count(count, answer)
    return right / max(len(answers), 1)


def _near(scenario, points, query, answer):
    far = np.sort(places.distances(points, query))[:10]
    if scenario == "radius":
        far = far[far <= 25_000]
    given = [hit[1] for hit in answer["hits"]]
    if len(given) != len(far):
        # At the border of the circle the spheres differ.
        return scenario == "radius" and abs(len(given) - len(far)) <= 1
    return all(abs(a - b) <= 1 + 0.005 * b for a, b in zip(given, far, strict=True))


def _count(count, answer):
    if answer["total"] is None:
        return len(answer["hits"]) == min(count, 10)
    return abs(answer["total"] - count) <= 1 + 0.005 * count


def _cover(zones, query, answer):
    point = np.array([query])
    found = set()
    for n in np.flatnonzero(_may_hold(zones, query)):
        polygons = zones[n]["coordinates"]
        for rings in [polygons] if zones[n]["type"] == "Polygon" else polygons:
            if places.inside(rings[0], point)[0] and not any(
                    places.inside(hole, point)[0] for hole in rings[1:]):
                found.add(int(n))
    given = {hit[0] for hit in answer["hits"]}
    # Lookups give ten hits at most.
    return given == found or (len(found) > 10 and len(given) == 10 and given < found)


_boxes = {}


def _may_hold(zones, query):
    """Which zones' boxes hold a place."""
    if id(zones) not in _boxes:
        _boxes.clear()
        _boxes[id(zones)] = np.array([_box(zone) for zone in zones])
    west, south, east, north = _boxes[id(zones)].T
    return (west <= query[0]) & (query[0] <= east) & (south <= query[1]) & (query[1] <= north)


def _box(zone):
    polygons = [zone["coordinates"]] if zone["type"] == "Polygon" else zone["coordinates"]
    corners = np.concatenate([np.array(rings[0])[:, :2] for rings in polygons])
    return [*corners.min(axis=0), *corners.max(axis=0)]


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def tables(name, figures, judged, filled):
    """Markdown: a table for each scenario, ratios against Aisle in brackets."""
    lines = [f"## {name}", "", "Resident bytes per point: " + ", ".join(
        f"{peer} {value:,.0f}" for peer, value in filled.items() if value) + "."]
    scenarios = list(dict.fromkeys(key[0] for key in figures))
    for scenario in scenarios:
        lines += ["", f"### {scenario}", "",
                  "| server | agrees | " + " | ".join(
                      f"CPU µs, {head}" for head in HEAD.values())
                  + " | per s, 8 × 16 | per s, 8 × 1 | p99 µs, 8 × 1 | p50 µs, 1 × 1 |",
                  "| --- |" + " ---: |" * 8]
        names = [key[1] for key in figures if key[0] == scenario and key[2] == "single"]
        for peer in names:
            def cell(mode, what, digits=0, peer=peer, scenario=scenario):
                value = figures[scenario, peer, mode][what]
                base = figures.get((scenario, "aisle", mode), {}).get(what)
                if peer == "aisle" or not base:
                    return number(value, digits)
                share = base / value if what == "per_s" else value / base
                return f"{number(value, digits)} ({share:.1f}×)"
            lines.append(
                f"| {peer} | {judged[scenario, peer]:.0%} | "
                + " | ".join(cell(mode, "cpu_us", 1) for mode in HEAD)
                + f" | {cell('pipelined', 'per_s')} | {cell('clients', 'per_s')}"
                + f" | {cell('clients', 'p99_us')} | {cell('single', 'p50_us')} |")
    return "\n".join(lines)
