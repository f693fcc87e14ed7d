"""Fixtures of the end-to-end tests: every one of them talks to a real `aisle serve`."""

import itertools
import os
import random

import pytest

from aisle_server import Server, binary

_numbers = itertools.count(1)


def pytest_report_header():
    return f"server under test: {binary()}"


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=None, help="seed of the random tests")


@pytest.fixture
def seed(request):
    """The seed of a random test, printed so that a failure can be run again with --seed."""
    chosen = request.config.getoption("--seed")
    if chosen is None:
        chosen = int(os.environ.get("AISLE_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {chosen} (run again with --seed {chosen})")
    return chosen


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that do not need one of their own."""
    running = Server(tmp_path_factory.mktemp("shared") / "data", "--shards", "2",
                     "--partitions", "3").start()
    yield running
    try:
        status = running.stop()
        words = running.log_tail()
    finally:
        running.remove()
    assert status == 0, f"exit status {status}: {words}"


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def db(server, request):
    """A connection to the shared server, once for each protocol."""
    with server.connect(request.param) as connection:
        yield connection
    assert server.alive(), server.log_tail()


@pytest.fixture
def db3(server):
    """A RESP3 connection to the shared server, for tests where the protocol does not matter."""
    with server.connect(3) as connection:
        yield connection
    assert server.alive(), server.log_tail()


@pytest.fixture
def name():
    """A collection name that no other test uses."""
    return f"c{next(_numbers)}"


@pytest.fixture
def own_server(tmp_path):
    """Makes servers of this test alone; they are ended and removed after it."""
    made = []

    def make(*args, **more):
        made.append(Server(tmp_path / f"data{len(made)}", *args, **more))
        return made[-1].start()

    yield make
    for one in made:
        one.remove()
