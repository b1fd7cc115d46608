"""conftest.py owns what the tests of imports share: gpusize import on a database of the test."""
import json
import subprocess

import pytest

from waiting import LIMIT_S


@pytest.fixture
def start(cluster, database, launch):
    def call(*arguments, stderr=subprocess.PIPE):
        return launch(cluster.url(database), "import", *arguments, stderr=stderr, env={"no_proxy": "*"})

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
