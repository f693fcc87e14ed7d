"""Writes the golden values of time zones and opening hours, with Python's zoneinfo as the judge.

    python3 make.py [SEED]

Zone files are compiled slim by zic from the system's tzdata.zi (public domain) and stand beside the
values, so that the tests do not depend on the rules of the day.
"""

import datetime as dt
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import zoneinfo

HERE = pathlib.Path(__file__).parent
ZONES = """America/New_York America/Chicago America/St_Johns America/Santiago America/Nuuk
    Europe/Dublin Europe/Berlin Africa/Casablanca Asia/Kolkata Asia/Tehran Australia/Lord_Howe
    Pacific/Apia Pacific/Chatham Antarctica/Troll Etc/GMT+5""".split()
DAYS = "mon tue wed thu fri sat sun".split()
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def compile_zones(folder):
    source = "/usr/share/zoneinfo/tzdata.zi"
    subprocess.run(["zic", "-b", "slim", "-d", folder, source], check=True)
    for zone in ZONES:
        (HERE / zone.replace("/", "-")).write_bytes((pathlib.Path(folder) / zone).read_bytes())
    # One file of the other style: every change until 2037 is listed.
    subprocess.run(["zic", "-b", "fat", "-d", folder, source], check=True)
    (HERE / "America-Chicago-fat").write_bytes(
        (pathlib.Path(folder) / "America/Chicago").read_bytes())


def transitions(bytes_):
    """The moments of the second block."""
    counts = struct.unpack(">6l", bytes_[20:44])
    start = 44 + counts[3] * 5 + counts[4] * 6 + counts[5] + counts[2] * 8 + counts[1] + counts[0]
    count = struct.unpack(">6l", bytes_[start + 20:start + 44])[3]
    return struct.unpack(f">{count}q", bytes_[start + 44:start + 44 + 8 * count])


def moment(seconds):
    return EPOCH + dt.timedelta(seconds=seconds)


def second_sunday(year, month, offset):
    day = dt.date(year, month, 8)
    day += dt.timedelta(days=(6 - day.weekday()) % 7)
    return int((dt.datetime(day.year, day.month, day.day, 2) - dt.datetime(1970, 1, 1))
               .total_seconds()) - offset


def write_offsets(rng):
    with open(HERE / "offsets.tsv", "w") as out:
        print("zone\tseconds\toffset", file=out)
        for zone in ZONES + ["America/Chicago-fat"]:
            path = HERE / zone.replace("/", "-")
            with open(path, "rb") as file:
                info = zoneinfo.ZoneInfo.from_file(file)
            changes = [t for t in transitions(path.read_bytes()) if t > -4_000_000_000]
            picked = rng.sample(changes, min(25, len(changes)))
            moments = [t + d for t in picked for d in (-1, 0)]
            moments += [rng.randrange(-3_000_000_000, 2_100_000_000) for _ in range(30)]
            moments += [rng.randrange(2_100_000_000, 250_000_000_000) for _ in range(20)]
            for seconds in moments:
                offset = moment(seconds).astimezone(info).utcoffset().total_seconds()
                print(zone, seconds, int(offset), sep="\t", file=out)
        # To the second, around changes that only the footer knows.
        for year in (2038, 2100, 2400):
            for step in (-1, 0):
                seconds = second_sunday(year, 3, -5 * 3600) + step
                with open(HERE / "America-New_York", "rb") as file:
                    info = zoneinfo.ZoneInfo.from_file(file)
                offset = moment(seconds).astimezone(info).utcoffset().total_seconds()
                print("America/New_York", seconds, int(offset), sep="\t", file=out)


def random_spans(rng):
    spans, minute = [], rng.randrange(0, 600)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
        if minute >= 1440:
            break
        end = minute + rng.randrange(1, 700)
        if end >= minute + 1440 or (end > 1440 and end - 1440 == minute):
            break
        spans.append((minute, end))
        if end >= 1440:
            break
        minute = end + rng.randrange(0, 300)
    return spans


def text(spans):
    def clock(minute):
        return f"{minute // 60:02}:{minute % 60:02}"
    return [[clock(a), clock(b if b <= 1440 else b - 1440)] for a, b in spans]


def is_open(week, exceptions, info, seconds):
    local = moment(seconds).astimezone(info).replace(tzinfo=None)
    for back in (0, 1):
        day = local.date() - dt.timedelta(days=back)
        spans = exceptions.get(day, week[day.weekday()])
        minute = local.hour * 60 + local.minute + 1440 * back
        if any(a <= minute < b for a, b in spans):
            return True
    return False


def write_hours(rng):
    with open(HERE / "hours.tsv", "w") as out:
        print("hours\tseconds=open…", file=out)
        for number in range(60):
            zone = ZONES[number % len(ZONES)]
            with open(HERE / zone.replace("/", "-"), "rb") as file:
                info = zoneinfo.ZoneInfo.from_file(file)
            week = [random_spans(rng) for _ in DAYS]
            anchors = [t for t in transitions((HERE / zone.replace("/", "-")).read_bytes())
                       if 0 < t < 4_000_000_000] or [1_700_000_000]
            base = rng.choice(anchors)
            first = moment(base).astimezone(info).date()
            exceptions = {first + dt.timedelta(days=d): random_spans(rng)
                          for d in rng.sample(range(-6, 7), 3)}
            value = {"timezone": zone,
                     "weekly": {d: text(s) for d, s in zip(DAYS, week) if s},
                     "exceptions": {d.isoformat(): text(s) for d, s in exceptions.items()}}
            answers = []
            for _ in range(25):
                seconds = base + rng.randrange(-6 * 86400, 6 * 86400)
                if rng.random() < 0.3:
                    seconds = base + rng.randrange(-7200, 7200)
                answers.append(f"{seconds}={int(is_open(week, exceptions, info, seconds))}")
            print(json.dumps(value, separators=(",", ":")), *answers, sep="\t", file=out)


def main():
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    with tempfile.TemporaryDirectory() as folder:
        compile_zones(folder)
    write_offsets(rng)
    write_hours(rng)


if __name__ == "__main__":
    main()
