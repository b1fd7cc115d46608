"""conftest.py owns what the tests of the real program share: the program, the contract, a running service."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests" / "support"))

from contract import Contract, parse_json  # noqa: E402
from postgres import Cluster  # noqa: E402
from service import Service  # noqa: E402
from waiting import finish  # noqa: E402


@pytest.fixture(scope="session")
def program():
    """Path of gpusize."""
    return os.environ.get("GPUSIZE_PROGRAM", str(PROJECT / "build" / "asan" / "gpusize"))


@pytest.fixture(scope="session")
def tables():
    """The tables of routes, operations and fields, as tests/api/dump_tables.c prints them."""
    default = str(PROJECT / "build" / "asan" / "tests" / "api" / "dump_tables")
    dump = subprocess.run([os.environ.get("GPUSIZE_DUMP_TABLES", default)], check=True, stdout=subprocess.PIPE)
    return parse_json(dump.stdout)


@pytest.fixture(scope="session")
def contract():
    return Contract(PROJECT / "openapi.yaml")


@pytest.fixture(scope="session")
def shared():
    """The folder of reference data beside the project, which a clone need not have."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    return folder


@pytest.fixture(scope="session")
def service(program, contract):
    """One service with default settings for the whole run."""
    running = Service(program, contract)
    yield running
    running.stop()


@pytest.fixture
def start_service(program, contract):
    """start_service(*arguments, env=None) starts another one, which ends with the test."""
    running = []

    def start(*arguments, env=None):
        running.append(Service(program, contract, *arguments, env=env))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def cluster():
    """A PostgreSQL of its own for each file of tests."""
    own = Cluster()
    yield own
    own.close()


@pytest.fixture
def database(cluster, program):
    """The name of a new database with the built-in catalog."""
    return cluster.database(program)


@pytest.fixture
def make_key(cluster, program):
    """make_key(database, role, *options): a key, by gpusize key create."""
    made = []

    def make(database, role, *options):
        made.append(role)
        environment = {**os.environ, "DATABASE_URL": cluster.url(database)}
        done = subprocess.run([program, "key", "create", "--name", f"{role} {len(made)}", "--role", role, *options],
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return make


@pytest.fixture
def sql(cluster, database):
    return lambda text: cluster.sql(database, text)


@pytest.fixture
def serve(cluster, start_service):
    """serve(database, *arguments): a service on that database, which ends with the test."""

    def start(database, *arguments, url=None, env=None):
        environment = {**os.environ, "DATABASE_URL": url or cluster.url(database), **(env or {})}
        return start_service(*arguments, env=environment)

    return start


@pytest.fixture
def launch(program):
    """launch(url, *arguments): the program as a process, which ends with the test."""
    running = []

    def start(url, *arguments, stderr=subprocess.STDOUT, env=None):
        environment = {**os.environ, "DATABASE_URL": url, **(env or {})}
        running.append(subprocess.Popen([program, *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=stderr, text=True))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def gpusize(launch):
    """gpusize(url, *arguments, status=0): what it said."""

    def call(url, *arguments, status=0):
        return finish(launch(url, *arguments), status)

    return call
