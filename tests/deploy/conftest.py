"""conftest.py owns what the tests of what runs in production share: helm, and what the chart renders to."""
import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
CHART = PROJECT / "deploy" / "helm" / "gpusize"
FEATURES = sorted(CHART.glob("ci/*-values.yaml"))
TOOLS = PROJECT / "build" / "deploy-tools"
NAMESPACE = "sizing"
RELEASE = "rel"
LATEST = "1.34.0"


@pytest.fixture(scope="session", autouse=True)
def tools():
    """The folder of tools, installed where they are missing."""
    done = subprocess.run([PROJECT / "scripts" / "install-deploy-tools"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    return TOOLS


@pytest.fixture(scope="session")
def helm(tools):
    """helm(*arguments, status=0): what it says, on both streams if it fails as expected."""
    folder = tempfile.TemporaryDirectory(prefix="gpusize-helm-")
    environment = {"PATH": os.environ["PATH"], "HOME": folder.name, "HELM_CACHE_HOME": f"{folder.name}/cache",
                   "HELM_CONFIG_HOME": f"{folder.name}/config", "HELM_DATA_HOME": f"{folder.name}/data"}

    def call(*arguments, status=0):
        done = subprocess.run([tools / "helm" / "helm", *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert (done.returncode != 0) == (status != 0), done.stdout + done.stderr
        return done.stdout if status == 0 else done.stdout + done.stderr

    yield call
    folder.cleanup()


@pytest.fixture(scope="session")
def render(helm):
    """render(*arguments, chart=, version=): the objects that the chart becomes. Each question is asked once."""

    @functools.lru_cache(maxsize=None)
    def text(*arguments, chart=CHART, version=LATEST):
        return helm("template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", version, *arguments)

    def objects(*arguments, **options):
        return [one for one in yaml.safe_load_all(text(*arguments, **options)) if one]

    objects.text = text
    return objects


@pytest.fixture(scope="session")
def validate(tools):
    """validate(text): what the schemas of Kubernetes say of a stream of objects."""

    def call(text):
        done = subprocess.run(["node", Path(__file__).parent / "k8s_validate.js"], input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env={**os.environ, "NODE_PATH": str(tools / "node_modules")})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def name_of(path):
    return path.name.removesuffix("-values.yaml")


def pod_specs(objects):
    """(kind, name, labels, spec of the pods) of everything that makes pods, and of pods."""
    for one in objects:
        kind, name = one["kind"], one["metadata"]["name"]
        if kind == "Pod":
            yield kind, name, one["metadata"]["labels"], one["spec"]
        elif kind in ("Deployment", "DaemonSet", "Job"):
            template = one["spec"]["template"]
            yield kind, name, template["metadata"]["labels"], template["spec"]
        elif kind == "CronJob":
            template = one["spec"]["jobTemplate"]["spec"]["template"]
            yield kind, name, template["metadata"]["labels"], template["spec"]


def one_of(objects, kind, name=None):
    found = [one for one in objects if one["kind"] == kind and (name is None or one["metadata"]["name"] == name)]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]
