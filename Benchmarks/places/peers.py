"""The servers that are measured: each is started in a folder of its own, filled, and asked."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import wire

ROOT_USER = os.geteuid() == 0


def find(name, folders=()):
    """A program by name."""
    return next((str(path) for path in (pathlib.Path(f, name) for f in folders)
                 if path.exists()), shutil.which(name))


class Peer:
    """A running server. `ask(scenario, query)` makes the bytes of a request."""

    protocol = "resp"
    name = ""
    scenarios = ()

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / self.name
        self.folder.mkdir()
        self.process = None

    def start(self, words, **more):
        self.process = subprocess.Popen(words, stdout=open(self.folder / "out", "wb"),
                                        stderr=subprocess.STDOUT, **more)
        until = time.monotonic() + 30
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit(f"{self.name} did not start: see {self.folder}/out")
            time.sleep(0.05)

    def is_ready(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def handshake(self, _scenario):
        return b"", 0

    def setup_requests(self):
        """What goes before all rows, one request after the other."""
        return []

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def processor_seconds(self):
        """Of the server and of children that have ended."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        return 0


class Aisle(Peer):
    name = "aisle"
    scenarios = ("radius", "nearest", "city", "wide", "cover")

    def __init__(self, folder, binary):
        super().__init__(folder)
        self.socket = self.folder / "s"
        self.start([binary, "serve", "--data", self.folder / "data", "--port", "2489", "--unix",
                    self.socket, "--partitions", "2", "--log-level", "error"])

    def handshake(self, _scenario):
        return wire.command("HELLO", 3), 1

    def is_ready(self):
        return b"ready" in (self.folder / "out").read_bytes()

    def setup_requests(self):
        schema = {"fields": {"at": {"type": "geopoint", "index": True}}}
        yield wire.command("CREATE", "points", json.dumps(schema))
        schema = {"fields": {"zone": {"type": "geoshape", "index": True}}}
        yield wire.command("CREATE", "zones", json.dumps(schema))

    def fill_requests(self, points, zones):
        for n, (x, y) in enumerate(points):
            yield wire.command("PUT", "points", n, '{"at":[%.6f,%.6f]}' % (x, y))
        for n, zone in enumerate(zones):
            yield wire.command("PUT", "zones", n, json.dumps({"zone": zone}))

    def ask(self, scenario, query):
        tail = ("LIMIT", 10, "FIELDS", "_id")
        if scenario == "radius":
            return wire.command("NEARBY", "points", *query, "RADIUS", "25km", *tail)
        if scenario == "nearest":
            return wire.command("NEARBY", "points", *query, *tail)
        if scenario == "cover":
            return wire.command("COVER", "zones", *query, "FIELDS", "_id")
        return wire.command("WITHIN", "points", json.dumps(query), *tail)

    def answer(self, scenario, data):
        map_, _ = wire.reply(data)
        hits = [(int(hit[b"id"]), hit.get(b"distance_m")) for hit in map_[b"hits"]]
        return {"total": map_.get(b"total"), "hits": hits}


class Redis(Peer):
    name = "redis"
    scenarios = ("radius",)

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = self.folder / "s"
        self.start([find("redis-server"), "--port", "0", "--unixsocket", self.socket, "--save", "",
                    "--appendonly", "no", "--dir", self.folder])

    def fill_requests(self, points, _zones):
        for start in range(0, len(points), 100):
            words = []
            for n in range(start, min(start + 100, len(points))):
                words += ["%.6f" % points[n][0], "%.6f" % points[n][1], n]
            yield wire.command("GEOADD", "points", *words)

    def ask(self, _scenario, query):
        return wire.command("GEOSEARCH", "points", "FROMLONLAT", *query, "BYRADIUS", 25, "km",
                            "ASC", "COUNT", 10, "WITHDIST")

    def answer(self, _scenario, data):
        hits = [(int(id_), float(far) * 1000) for id_, far in wire.reply(data)[0]]
        return {"total": None, "hits": hits}


class Tile38(Peer):
    name = "tile38"
    scenarios = ("radius", "nearest", "city", "wide", "cover")

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = self.folder / "s"
        self.start([find("tile38-server"), "-p", "2491", "-s", self.socket, "-d", self.folder / "d",
                    "--appendonly", "no"])

    def fill_requests(self, points, zones):
        for n, (x, y) in enumerate(points):
            yield wire.command("SET", "points", n, "POINT", "%.6f" % y, "%.6f" % x)
        for n, zone in enumerate(zones):
            yield wire.command("SET", "zones", n, "OBJECT", json.dumps(zone))

    def ask(self, scenario, query):
        near = ("NEARBY", "points", "LIMIT", 10, "DISTANCE", "IDS", "POINT")
        if scenario == "radius":
            return wire.command(*near, query[1], query[0], 25_000)
        if scenario == "nearest":
            return wire.command(*near, query[1], query[0])
        if scenario == "cover":
            return wire.command("INTERSECTS", "zones", "IDS", "OBJECT", json.dumps(
                {"type": "Point", "coordinates": query}))
        return wire.command("WITHIN", "points", "LIMIT", 10, "IDS", "OBJECT", json.dumps(query))

    def answer(self, _scenario, data):
        hits = [hit if isinstance(hit, list) else [hit, None] for hit in wire.reply(data)[0][1]]
        return {"total": None, "hits": [(int(id_), far and float(far)) for id_, far in hits]}


class PostGIS(Peer):
    name = "postgis"
    protocol = "postgres"
    scenarios = ("radius", "nearest", "city", "wide", "cover")
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    place = "ST_SetSRID(ST_MakePoint($1::float8, $2::float8), 4326)"
    statements = {
        "radius": f"SELECT id, ST_Distance(at, {place}::geography, false) FROM points WHERE "
                  f"ST_DWithin(at, {place}::geography, 25000, false) "
                  f"ORDER BY at <-> {place}::geography LIMIT 10",
        "nearest": f"SELECT id, ST_Distance(at, {place}::geography, false) FROM points "
                   f"ORDER BY at <-> {place}::geography LIMIT 10",
        # Else the polygon would be read again for every point.
        "city": "WITH q AS MATERIALIZED (SELECT ST_GeomFromGeoJSON($1::text) AS shape) "
                "SELECT count(*) FROM q, points WHERE ST_Intersects(flat, q.shape)",
        "cover": f"SELECT id FROM zones WHERE ST_Intersects(zone, {place})",
    }

    statements["wide"] = statements["city"]

    @classmethod
    def is_installed(cls):
        return any(pathlib.Path("/usr/share/postgresql").glob("*/extension/postgis.control"))

    def __init__(self, folder):
        super().__init__(folder)
        os.chmod(folder, 0o755)
        # PostgreSQL refuses to run as root.
        self.user = {"user": "postgres"} if ROOT_USER else {}
        if ROOT_USER:
            shutil.chown(self.folder, "postgres")
        run = {"check": True, "stdout": subprocess.DEVNULL, **self.user}
        subprocess.run([find("initdb", self.folders), "-D", self.folder / "data", "-U", "bench",
                        "--auth=trust", "--encoding=UTF8", "--locale=C"], cwd=self.folder, **run)
        self.socket = self.folder / ".s.PGSQL.5432"
        self.start([find("postgres", self.folders), "-D", self.folder / "data", "-k", self.folder,
                    "-c", "listen_addresses=", "-c", "shared_buffers=1GB", "-c", "fsync=off",
                    "-c", "jit=off", "-c", "max_parallel_workers_per_gather=0",
                    "-c", "plan_cache_mode=force_generic_plan"], cwd=self.folder, **self.user)

    def sql(self, text):
        subprocess.run([find("psql", self.folders), "-h", self.folder, "-U", "bench", "-q", "-d",
                        "postgres", "-v", "ON_ERROR_STOP=1"], input=text, text=True, check=True,
                       stdout=subprocess.DEVNULL)

    def fill(self, points, zones):
        self.sql("CREATE EXTENSION postgis; CREATE TABLE raw (id int, x float8, y float8);"
                 "CREATE TABLE rawzones (id int, zone text);")
        rows = "".join("%d\t%.6f\t%.6f\n" % (n, x, y) for n, (x, y) in enumerate(points))
        self.sql("COPY raw FROM STDIN;\n" + rows + "\\.\n")
        rows = "".join("%d\t%s\n" % (n, json.dumps(zone)) for n, zone in enumerate(zones))
        self.sql("COPY rawzones FROM STDIN;\n" + rows + "\\.\n")
        self.sql("""
            CREATE TABLE points AS SELECT id, ST_SetSRID(ST_MakePoint(x, y), 4326)::geography AS at,
                ST_SetSRID(ST_MakePoint(x, y), 4326) AS flat FROM raw;
            CREATE TABLE zones AS SELECT id, ST_GeomFromGeoJSON(zone) AS zone FROM rawzones;
            CREATE INDEX ON points USING gist (at); CREATE INDEX ON points USING gist (flat);
            CREATE INDEX ON zones USING gist (zone); DROP TABLE raw; DROP TABLE rawzones;
            VACUUM ANALYZE;""")

    def handshake(self, scenario):
        return wire.postgres_start("bench", "postgres", "q", self.statements[scenario]), 2

    def ask(self, scenario, query):
        values = [json.dumps(query)] if scenario in ("city", "wide") else query
        return wire.postgres_execute("q", values)

    def answer(self, scenario, data):
        rows = wire.postgres_rows(data)
        if scenario in ("city", "wide"):
            return {"total": int(rows[0][0]), "hits": None}
        return {"total": None, "hits": [(int(row[0]), float(row[1]) if len(row) > 1 else None)
                                        for row in rows]}

    def resident_bytes(self):
        """Of tables and indexes: the memory of its processes is shared."""
        return 0
