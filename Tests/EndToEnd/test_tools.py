"""The tools around the server: TLS, the schemas and the catalogue that ship, exit statuses."""

import json
import pathlib
import re
import subprocess

import pytest

from aisle_server import REPOSITORY, binary, run_aisle

SCHEMAS = sorted((REPOSITORY / "Snapshots/schemas").glob("*.json"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """(certificate, key) of the server's own name and of another."""
    folder = tmp_path_factory.mktemp("certificates")
    made = {}
    for name in ("localhost", "elsewhere"):
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        names = f"subjectAltName=DNS:{name}" + (",IP:127.0.0.1" if name == "localhost" else "")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-addext", names],
                       check=True, capture_output=True)
        made[name] = (str(cert), str(key))
    return made


def test_tools_speak_tls(own_server, certificates, tmp_path):
    cert, key = certificates["localhost"]
    server = own_server("--tls-cert", cert, "--tls-key", key)
    place = ["--port", server.port, "--tls", "--tls-ca", cert]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"id": f"{n}", "text": "x" * (n % 9_000)}) + "\n"
                            for n in range(3_000)))
    schema = tmp_path / "schema.json"
    schema.write_text('{"fields":{"text":{"type":"text"}}}')
    done = run_aisle("load", "c", rows, "--schema", schema, *place)
    assert done.returncode == 0, done.stderr
    for host in ("127.0.0.1", "localhost"):
        done = run_aisle("cli", "--host", host, *place, "COUNT", "c", "{}")
        assert done.stdout.strip() == b"3000", done.stderr
    # An answer of many records.
    done = run_aisle("cli", *place, "--raw", "EXPORT", "c", "BATCH", "3000")
    assert done.returncode == 0 and len(done.stdout) > 1_000_000
    done = run_aisle("bench", "fetch", "fetch-p16", "--records", "2000", "--seconds", "0.3", *place)
    # With 1 it says that a budget was missed, as on a slow machine.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert b"fetch-p16" in done.stdout and b"rate/s" in done.stdout


@pytest.mark.parametrize("options, text", [
    (["--tls"], b"certificate"),
    (["--tls", "--tls-ca", "elsewhere"], b"certificate"),
    (["--tls", "--tls-ca", "absent"], b"cannot read"),
    ([], b"closed"),
])
def test_untrusted_tls_is_refused(own_server, certificates, options, text):
    cert, key = certificates["localhost"]
    server = own_server("--tls-cert", cert, "--tls-key", key)
    options = [certificates[word][0] if word in certificates else word for word in options]
    done = run_aisle("cli", "--port", server.port, *options, "PING")
    assert done.returncode == 3 and text in done.stderr, done.stderr


def test_another_servers_certificate_is_refused_unless_told(own_server, certificates):
    cert, key = certificates["elsewhere"]
    server = own_server("--tls-cert", cert, "--tls-key", key)
    place = ["--port", server.port, "--tls"]
    for host in ("127.0.0.1", "localhost"):
        done = run_aisle("cli", "--host", host, *place, "--tls-ca", cert, "PING")
        assert done.returncode == 3 and b"mismatch" in done.stderr, done.stderr
    done = run_aisle("cli", *place, "--tls-insecure", "PING")
    assert done.returncode == 0 and done.stdout.strip() == b"PONG", done.stderr


@pytest.mark.parametrize("words", [
    ["--tls-insecure"], ["--tls-ca", "x"], ["--tls", "--unix", "x"], ["--resp", "4"],
    ["--user", "ada"], ["--nonsense"], ["--password-env", "AISLE_NO_SUCH_VARIABLE"],
])
def test_wrong_connection_options_are_usage_errors(words):
    done = run_aisle("cli", *words, "PING")
    assert done.returncode == 2 and done.stderr


@pytest.mark.parametrize("words", [
    [], ["nonsense"], ["load"], ["serve"], ["serve", "--data"], ["serve", "x"], ["verify"],
    ["serve", "--data", "d", "--nonsense", "1"], ["serve", "--data", "d", "--port", "x"],
    ["help", "nonsense"], ["generate", "chairs", "--count", "1"],
])
def test_wrong_usage_is_status_2(words, tmp_path):
    done = run_aisle(*words)
    # The bare name explains itself.
    assert done.returncode == (2 if words else 0), done.stdout + done.stderr
    assert done.stderr if words else b"USAGE" in done.stdout


@pytest.mark.parametrize("words", [
    ["verify", "--data", "absent"], ["compact", "--data", "absent"],
    ["cli", "--port", "1", "PING"], ["cli", "--unix", "absent.sock", "PING"],
    ["load", "c", "absent.jsonl"], ["bench", "ping", "--port", "1"],
])
def test_what_cannot_be_reached_or_opened_is_status_3(words, tmp_path):
    words = [str(tmp_path / word) if word.startswith("absent") else word for word in words]
    done = run_aisle(*words)
    assert done.returncode == 3 and done.stderr, done.stdout + done.stderr


def test_every_subcommand_explains_itself():
    listed = run_aisle("help").stdout.decode()
    for name in ("serve", "load", "generate", "bench", "cli", "compact", "verify", "help"):
        assert f"\n    {name} " in listed
        by_flag, by_help = run_aisle(name, "--help"), run_aisle("help", name)
        for done in (by_flag, by_help):
            assert done.returncode == 0 and b"xample" in done.stdout, name


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.stem)
def test_shipped_schema_takes_generated_documents(server, db3, name, file):
    assert db3.call("CREATE", name, file.read_text()) == "OK"
    if file.stem not in ("products", "stores", "orders", "events"):
        return
    made = run_aisle("generate", file.stem, "--count", "300", "--seed", "5")
    done = run_aisle("load", name, "-", "--port", server.port, input=made.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert db3.call("COUNT", name, "{}") == 300


@pytest.mark.slow
@pytest.mark.parametrize("part, count", [("products", 44_998), ("stores", 18_474)])
def test_the_demo_catalogue_loads(server, db3, name, part, count):
    folder = REPOSITORY / "Snapshots/demo"
    done = run_aisle("load", name, folder / f"{part}.jsonl.zst", "--schema",
                     folder / f"{part}.schema.json", "--unix", server.unix)
    assert done.returncode == 0, done.stdout + done.stderr
    assert db3.call("COUNT", name, "{}") == count


def test_load_reads_opening_hours(server, db3, name, tmp_path):
    rows = tmp_path / "stores.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in [
        {"id": "a", "hours": "Mon: 10-9:30; Sun: 11-7", "state": "MN"},
        {"id": "b", "hours": "Open today from 6:00 AM - 12:00 AM",
         "timezone": "GMT-08:00 America/Los_Angeles"},
        {"id": "c", "hours": "Store hours aren't available", "state": "MN"},
        {"id": "d", "hours": "whenever", "state": "MN"}]))
    schema = tmp_path / "stores.json"
    schema.write_text('{"fields": {"hours": {"type": "hours"}, "state": {"type": "keyword"}}}')
    done = run_aisle("load", name, rows, "--schema", schema, "--port", server.port)
    assert done.returncode == 0, done.stderr
    assert (b"opening hours: 2 read, 1 of them told of one day and were taken for every day, "
            b"1 said nothing, 1 could not be read") in done.stdout
    assert b"line 4: whenever" in done.stdout
    stored = {key: json.loads(db3.call("FETCH", name, key)) for key in "abcd"}
    assert stored["a"]["hours"] == {"timezone": "America/Chicago", "weekly": {
        "mon": [["10:00", "21:30"]], "sun": [["11:00", "19:00"]]}}
    assert stored["b"]["hours"]["weekly"]["wed"] == [["06:00", "24:00"]]
    assert "hours" not in stored["c"] and "hours" not in stored["d"]


def test_verify_and_compact_of_a_stopped_store(own_server, tmp_path):
    server = own_server()
    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{}}')
        for _ in range(3):
            db.pipeline([("PUT", "c", str(n), '{"pad":"%s"}' % ("x" * 900)) for n in range(500)])
        done = run_aisle("verify", "--data", server.data)
        assert done.returncode == 3 and b"another process" in done.stderr
        done = run_aisle("compact", "--data", server.data)
        assert done.returncode == 3 and b"another process" in done.stderr
    assert server.stop() == 0
    done = run_aisle("verify", "--data", server.data)
    assert done.returncode == 0 and b"clean" in done.stdout, done.stderr
    done = run_aisle("compact", "--data", server.data)
    assert done.returncode == 0 and b"bytes after" in done.stdout, done.stderr
    done = run_aisle("verify", "--data", server.data)
    assert done.returncode == 0, done.stderr
    server.start()
    with server.connect(3) as db:
        assert db.call("COUNT", "c", "{}") == 500


def test_backtraces_do_not_name_the_machine_that_built_the_server():
    """Debug information, which backtraces are made from, names our files from the root on."""
    program = pathlib.Path(binary()).read_bytes()
    assert b"Engine/Committer.swift" in program
    own = re.escape(str(REPOSITORY / "Sources").encode())
    assert not re.findall(own + rb"/[\w/+]*\.(?:swift|cpp|c)\b", program)
