"""The command line: load, generate, cli, verify, help and their exit statuses."""

import gzip
import json
import pathlib
import shutil
import subprocess

import pytest

from aisle_server import run_aisle

SCHEMA = {"fields": {"sku": {"type": "keyword", "unique": True},
                     "price": {"type": "decimal", "scale": 2, "index": True, "min": 0},
                     "n": {"type": "int", "index": True},
                     "tags": {"type": "keyword", "array": True, "index": True}}}


@pytest.fixture
def schema_file(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return path


def rows(count):
    return "".join(json.dumps({"id": f"r{n}", "sku": f"s{n}", "price": f"{n}.50", "n": n}) + "\n"
                   for n in range(count)).encode()


def load(server, *args, input=None):
    return run_aisle("load", *args, "--port", server.port, input=input)


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd", "stdin"])
def test_load_json_lines(server, db3, name, schema_file, tmp_path, packing):
    data = rows(500)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(gzip.compress(data) if packing == "gzip" else data)
    if packing == "zstd":
        subprocess.run(["zstd", "-q", str(path), "-o", str(path) + ".zst"], check=True)
        path = str(path) + ".zst"
    done = load(server, name, "-" if packing == "stdin" else path, "--schema", schema_file,
                "--id", "id", input=data if packing == "stdin" else None)
    assert done.returncode == 0, done.stderr
    assert db3.call("COUNT", name, "{}") == 500
    assert json.loads(db3.call("FETCH", name, "r7"))["price"] == "7.50"
    assert b"500" in done.stdout + done.stderr


def test_load_csv(server, db3, name, schema_file, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('id,sku,price,n,tags,maker.name\r\na,s1,1.50,3,x|y,"A ""B"", Inc"\r\n'
                    'b,s2,,4,,plain\r\n')
    done = load(server, name, path, "--schema", schema_file, "--id", "id")
    assert done.returncode == 0, done.stderr
    got = json.loads(db3.call("FETCH", name, "a"))
    assert got["n"] == 3 and got["tags"] == ["x", "y"] and got["maker"]["name"] == 'A "B", Inc'
    assert db3.call("COUNT", name, '{"price":1.5}') == 1
    assert "price" not in json.loads(db3.call("FETCH", name, "b"))


def test_bad_rows_are_listed(server, db3, name, schema_file, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id":"a","n":1}\n{"id":"b","n":"word"}\nnot json\n{"n":5}\n'
                    '{"id":"c","n":2}\n')
    done = load(server, name, path, "--schema", schema_file, "--id", "id")
    assert done.returncode == 1
    assert db3.call("COUNT", name, "{}") == 2
    rejects = (tmp_path / "rows.jsonl.rejects.jsonl").read_text().splitlines()
    assert len(rejects) == 3
    entries = [json.loads(line) for line in rejects]
    assert sorted(e["line"] for e in entries) == [2, 3, 4]


def test_load_again_changes_nothing(server, db3, name, schema_file, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(rows(100))
    for _ in range(2):
        assert load(server, name, path, "--schema", schema_file, "--id", "id").returncode == 0
    assert db3.call("COUNT", name, "{}") == 100


@pytest.mark.parametrize("kind", ["products", "stores"])
def test_generate_gives_the_same_bytes_for_a_seed(kind):
    first = run_aisle("generate", kind, "--count", 200, "--seed", 7).stdout
    assert first == run_aisle("generate", kind, "--count", 200, "--seed", 7).stdout
    assert first != run_aisle("generate", kind, "--count", 200, "--seed", 8).stdout
    documents = [json.loads(line) for line in first.splitlines()]
    assert len(documents) == 200
    if kind == "products":
        many = run_aisle("generate", kind, "--count", 5000, "--seed", 7).stdout
        categories = {json.loads(line)["category"] for line in many.splitlines()}
        assert len(categories) >= 12
        assert many.startswith(first)


def test_cli_one_shot(server, name):
    def cli(*args, input=None):
        return run_aisle("cli", "--port", server.port, *args, input=input)

    assert cli("CREATE", name, '{"fields":{}}').returncode == 0
    cli("PUT", name, "1", '{"a":"b"}')
    assert b'"a"' in cli("FETCH", name, "1").stdout
    assert b"NOTFOUND" in (lambda d: d.stdout + d.stderr)(cli("PATCH", name, "2", "{}"))
    done = cli(input=f"COUNT {name} '{{}}'\nFETCH {name} 1\n".encode())
    assert done.returncode == 0 and b"1" in done.stdout and b'"b"' in done.stdout


def test_exit_statuses(server, tmp_path):
    assert run_aisle("--help").returncode == 0
    assert run_aisle("nosuch").returncode == 2
    assert run_aisle("serve", "--nosuch").returncode == 2
    assert run_aisle("load", "c").returncode == 2
    assert run_aisle("cli", "--port", 1, "PING").returncode == 3
    assert run_aisle("verify", "--data", tmp_path / "nothing").returncode == 3


@pytest.mark.parametrize("command", ["serve", "load", "compact", "generate", "bench", "verify",
                                     "cli"])
def test_every_subcommand_has_help_with_an_example(command):
    done = run_aisle(command, "--help")
    assert done.returncode == 0
    assert f"aisle {command}" in done.stdout.decode()
    assert "example" in done.stdout.decode().lower()


def test_help_markdown_lists_the_commands():
    text = run_aisle("help", "--markdown").stdout.decode()
    for verb in ("PUT", "FETCH", "FIND", "MULTI", "ALTER"):
        assert verb in text


def test_verify_finds_a_damaged_file(own_server):
    server = own_server()
    with server.connect(3) as db:
        db.call("CREATE", "c", '{"fields":{}}')
        db.pipeline([("PUT", "c", str(n), json.dumps({"s": f"needle{n}" * 20}))
                     for n in range(2000)])
    server.stop()
    assert run_aisle("verify", "--data", server.data).returncode == 0
    data = max((p for p in pathlib.Path(server.data).rglob("*") if p.is_file()),
               key=lambda p: p.stat().st_size)
    backup = data.with_suffix(".backup")
    shutil.copy(data, backup)
    content = bytearray(data.read_bytes())
    place = content.rindex(b"needle1999needle")
    content[place + 3] ^= 0xFF
    data.write_bytes(content)
    done = run_aisle("verify", "--data", server.data)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
