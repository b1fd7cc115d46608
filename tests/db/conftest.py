"""conftest.py owns what the tests of imports share: a cluster a file, a database a test, and gpusize import on it."""
import json
import os
import subprocess

import pytest

from postgres import Cluster

LIMIT_S = 120  # of waiting for what must come; nothing is timed


@pytest.fixture(scope="module")
def cluster():
    own = Cluster()
    yield own
    own.close()


@pytest.fixture
def database(cluster, program):
    return cluster.database(program)


@pytest.fixture
def start(cluster, program, database):
    def call(*arguments):
        environment = {**os.environ, "DATABASE_URL": cluster.url(database), "no_proxy": "*"}
        return subprocess.Popen([program, "import", *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return call


@pytest.fixture
def run(start):
    """run(*arguments, status=0): the report, or what was said on standard error when it is refused."""

    def call(*arguments, status=0):
        process = start(*arguments, "--json")
        out, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == status, out + error
        return json.loads(out) if status == 0 else error

    return call


@pytest.fixture
def sql(cluster, database):
    return lambda text: cluster.sql(database, text)
