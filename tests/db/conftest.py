"""conftest.py owns what the tests with a database share: a cluster a file, a database a test, the program on it."""
import os
import subprocess

import pytest

from postgres import Cluster
from waiting import finish


@pytest.fixture(scope="module")
def cluster():
    own = Cluster()
    yield own
    own.close()


@pytest.fixture
def database(cluster, program):
    if cluster.server.poll() is not None:  # a test that failed left it so
        cluster.start()
    return cluster.database(program)


@pytest.fixture
def sql(cluster, database):
    return lambda text: cluster.sql(database, text)


@pytest.fixture
def serve(cluster, start_service):
    def start(database, *arguments, url=None, env=None):
        environment = {**os.environ, "DATABASE_URL": url or cluster.url(database), **(env or {})}
        return start_service(*arguments, env=environment)

    return start


@pytest.fixture
def launch(program):
    """launch(url, *arguments): the program as a process, which ends with the test."""
    running = []

    def start(url, *arguments):
        running.append(subprocess.Popen([program, *map(str, arguments)], env={**os.environ, "DATABASE_URL": url},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True))
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
