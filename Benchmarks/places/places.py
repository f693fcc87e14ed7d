"""Points, polygons and zones to measure with, and the exact answers by brute force."""

import json
import math
import pathlib
import subprocess

import numpy as np

RADIUS = 6_371_010.0
#: Middles of towns and how many people live there, in thousands: where generated points crowd.
TOWNS = [
    (-74.01, 40.71, 8300), (-118.24, 34.05, 3900), (-87.63, 41.88, 2700), (-95.37, 29.76, 2300),
    (-112.07, 33.45, 1600), (-75.17, 39.95, 1600), (-98.49, 29.42, 1450), (-117.16, 32.72, 1400),
    (-96.80, 32.78, 1300), (-121.89, 37.34, 1000), (-97.74, 30.27, 970), (-81.66, 30.33, 960),
    (-82.99, 39.96, 900), (-86.16, 39.77, 880), (-80.84, 35.23, 880), (-122.42, 37.77, 870),
    (-122.33, 47.61, 740), (-104.99, 39.74, 710), (-77.04, 38.91, 690), (-71.06, 42.36, 650),
    (-106.49, 31.76, 680), (-86.78, 36.16, 680), (-83.05, 42.33, 640), (-97.52, 35.47, 690),
    (-122.68, 45.52, 640), (-115.14, 36.17, 650), (-90.05, 35.15, 630), (-85.76, 38.25, 630),
    (-76.61, 39.29, 580), (-87.91, 43.04, 570), (-106.65, 35.08, 560), (-110.97, 32.22, 540),
    (-119.79, 36.74, 540), (-121.49, 38.58, 520), (-94.58, 39.10, 510), (-84.39, 33.75, 500),
    (-93.27, 44.98, 430), (-81.69, 41.50, 370), (-90.07, 29.95, 380), (-80.19, 25.76, 440),
    (-82.46, 27.95, 390), (-157.86, 21.31, 350), (-149.90, 61.22, 290), (-111.89, 40.76, 200),
]


def read_lines(path):
    """The lines of a file, zstd or plain."""
    path = pathlib.Path(path)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", path], capture_output=True, check=True,
                              text=True).stdout.splitlines()
    return path.read_text().splitlines()


def generated(count, rng):
    """Longitudes and latitudes that crowd around towns as people do."""
    weights = np.array([town[2] for town in TOWNS], float)
    chosen = rng.choice(len(TOWNS), count, p=weights / weights.sum())
    spread = rng.gamma(2, 0.08, count)
    angle = rng.uniform(0, 2 * math.pi, count)
    middle = np.array([town[:2] for town in TOWNS])[chosen]
    return np.round(middle + (spread * [np.cos(angle) * 1.3, np.sin(angle)]).T, 6)


def spread(count, rng):
    """Longitudes and latitudes all over the country: few within any circle."""
    return np.round(np.stack([rng.uniform(-124, -68, count), rng.uniform(26, 48.5, count)], 1), 6)


def real(source, count, rng):
    """Real stores, each once, and then again with up to about 3 km of noise."""
    stores = np.array([json.loads(line)["location"]["coordinates"][:2]
                       for line in read_lines(pathlib.Path(source) / "stores.jsonl.zst")])
    more = stores[rng.integers(0, len(stores), max(0, count - len(stores)))]
    more = more + rng.normal(0, 0.012, more.shape)
    return np.round(np.concatenate([stores, more])[:count], 6)


def unit(points):
    """Unit vectors of longitudes and latitudes."""
    x, y = np.radians(points[..., 0]), np.radians(points[..., 1])
    return np.stack([np.cos(x) * np.cos(y), np.sin(x) * np.cos(y), np.sin(y)], -1)


def distances(points, place):
    """Metres on the sphere from one place to all points."""
    chord = np.linalg.norm(unit(points) - unit(np.asarray(place)), axis=-1)
    return 2 * RADIUS * np.arcsin(np.minimum(chord / 2, 1))


def ring(place, count, kilometers, waves, depth, turn):
    """A wavy ring of `count` vertices around a place, closed."""
    points = []
    for n in range(count):
        angle = 2 * math.pi * n / count
        reach = kilometers / 111.2 * (1 + depth * math.sin(waves * angle + turn))
        points.append([round(place[0] + reach * math.cos(angle) / math.cos(
            math.radians(place[1])), 6), round(place[1] + reach * math.sin(angle), 6)])
    return [*points, points[0]]


def polygon(ring_):
    return {"type": "Polygon", "coordinates": [ring_]}


def generated_zones(count, vertices, rng):
    """Zones of about the size of a county on a grid over the country; neighbours overlap."""
    columns = int(math.sqrt(count * 2))
    zones = []
    for n in range(count):
        x = -122 + 52 * (n % columns) / columns + rng.uniform(-0.1, 0.1)
        y = 27 + 21 * (n // columns) / (count / columns) + rng.uniform(-0.1, 0.1)
        zones.append(polygon(ring((x, y), vertices, rng.uniform(25, 40), rng.integers(2, 7), 0.2,
                                  rng.uniform(0, 6))))
    return zones


def real_zones(source):
    """The counties of the United States."""
    text = "\n".join(read_lines(pathlib.Path(source) / "us-counties.geojson.zst"))
    return [feature["geometry"] for feature in json.loads(text)["features"]]


def inside(ring_, points):
    """Which points a ring holds, by crossings on a map: near to exact for rings of a city."""
    x, y = points[:, 0], points[:, 1]
    odd = np.zeros(len(points), bool)
    for (ax, ay), (bx, by) in zip(ring_, ring_[1:], strict=False):
        if ay == by:
            continue
        odd ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return odd
