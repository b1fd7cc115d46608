"""test_chart.py owns the tests of the chart as a package: it lints and renders for every feature and version of
Kubernetes, every object is what Kubernetes' schemas want, values that are not meant are refused, and it comes back whole
from a registry."""
import json
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest
import yaml
from conftest import CHART, FEATURES, PROJECT, name_of

VERSIONS = ["1.30.0", "1.31.4", "1.32.1-eks-1a2b3c", "1.33.0+k3s1", "1.34.0", "1.35.0"]
NO_SCHEMA = {"Cluster"}  # of CloudNativePG: nobody publishes one
features = pytest.mark.parametrize("values", FEATURES, ids=name_of)


# --- rendering ---


@features
def test_lints(helm, values):
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, "-f", values)


@pytest.mark.parametrize("version", VERSIONS)
@features
def test_renders_for_every_version_to_objects_that_kubernetes_takes(render, validate, values, version):
    found = validate(render.text("-f", values, version=version))
    assert found["wrong"] == []
    assert set(found["unknown"]) <= NO_SCHEMA
    assert {"Deployment", "Service", "ConfigMap", "ServiceAccount", "NetworkPolicy"} <= set(found["checked"])


def test_the_schemas_find_what_is_wrong(render, validate):
    text = render.text("-f", CHART / "ci" / "ingress-values.yaml")
    assert validate(text)["wrong"] == []
    for good, bad in [("replicas: 2", "replicas: two"), ("containerPort: 8080", "containerPort: [8080]"),
                      ("pathType", "kindOfPath")]:
        assert good in text
        assert validate(text.replace(good, bad))["wrong"], bad


def test_no_object_has_a_field_that_kubernetes_does_not_know(render, tools, tmp_path):
    """Kubernetes drops such fields and goes on. Types of its objects tell them: one compilation for all features."""
    packages = {"gateway.networking.k8s.io": "@kubernetes-models/gateway-api/",
                "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/"}

    def source(objects):
        lines = []
        for i, one in enumerate(objects):
            where = packages.get(one["apiVersion"].split("/")[0], "kubernetes-models/") + one["apiVersion"]
            fields = {name: value for name, value in one.items() if name not in ("apiVersion", "kind")}
            lines += [f'import {{ {one["kind"]} as Kind{i} }} from "{where}";', f"new Kind{i}({json.dumps(fields)});"]
        return "\n".join(lines) + "\n"

    def compile_all(objects):
        (tmp_path / "objects.ts").write_text(source(objects))
        done = subprocess.run(["node", tools / "node_modules" / "typescript" / "bin" / "tsc", "--noEmit", "--strict",
                               "--skipLibCheck", "--target", "es2022", "--module", "esnext", "--moduleResolution", "node10",
                               "objects.ts"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        return done.stdout

    (tmp_path / "node_modules").symlink_to(tools / "node_modules")
    objects = [one for values in FEATURES for one in render("-f", values) if one["kind"] not in NO_SCHEMA]
    assert compile_all(objects) == ""
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    wrong = json.loads(json.dumps(deployment))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbes"] = {}
    assert "livenessProbes" in compile_all([wrong])


def test_older_versions_are_refused(helm):
    said = helm("template", "rel", CHART, "--kube-version", "1.29.9", status=1)
    assert "incompatible with Kubernetes v1.29.9" in said


@features
def test_each_object_is_made_once_and_labelled(render, values):
    objects = render("-f", values)
    keys = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(keys) == len(set(keys)), keys
    for one in objects:
        if one["metadata"]["name"].endswith(("-extra", "-text")):  # the user's own
            continue
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "gpusize" and labels["app.kubernetes.io/instance"] == "rel"
        assert labels["app.kubernetes.io/managed-by"] == "Helm" and labels["helm.sh/chart"].startswith("gpusize-")
        assert labels["app.kubernetes.io/version"]
        assert len(one["metadata"]["name"]) <= (52 if one["kind"] == "CronJob" else 63)


def test_names_stay_short_enough_however_long_the_release_is(helm):
    said = helm("template", "a" * 53, CHART, "-f", CHART / "ci" / "calibration-cronjob-values.yaml")
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(said) if one and one["kind"] == "CronJob"]
    assert names and max(map(len, names)) <= 52


def test_every_feature_has_values_of_its_own():
    """A template that no values switch on is one that nobody has seen."""
    made = subprocess.run(["git", "ls-files", CHART / "ci"], cwd=PROJECT, stdout=subprocess.PIPE, text=True).stdout
    assert {name_of(path) for path in FEATURES} >= {
        "default", "database", "cnpg", "ingress", "gateway", "scaling", "monitoring", "calibration-job", "imports",
        "calibration-cronjob", "calibration-daemonset", "agents", "extras"}
    assert all(path.read_text().startswith(f"# {name_of(path)}: ") for path in FEATURES)
    assert made.count("-values.yaml") in (0, len(FEATURES))  # 0: not in a git tree


# --- values ---


def set_flags(text):
    return ["--set-json", text]


@pytest.mark.parametrize("flag, where", [
    ('replicaCount="three"', "/replicaCount"),
    ("replicaCount=-1", "/replicaCount"),
    ("replicaCount=1.5", "/replicaCount"),
    ("replicaCont=3", "'replicaCont' not allowed"),
    ('image={"tga": "1"}', "'tga' not allowed"),
    ('image={"digest": "sha256:1"}', "/image/digest"),
    ("image.tag=1", "/image/tag"),
    ('image.pullPolicy="Sometimes"', "/image/pullPolicy"),
    ('settings={"treads": 1}', "'treads' not allowed"),
    ('settings={"threads": "2"}', "/settings/threads"),
    ('settings={"queue_max": 0}', "/settings/queue_max"),
    ('settings={"alert_threshold": 85}', "/settings/alert_threshold"),
    ('settings={"database_url": "postgresql://a:b@c/d"}', "'database_url' not allowed"),
    ('database={"url": "postgresql://a:b@c/d"}', "'url' not allowed"),
    ('database={"existingSecret": "not a name"}', "/database/existingSecret"),
    ('service.type="Headless"', "/service/type"),
    ("service.port=70000", "/service/port"),
    ('resources={"limit": {}}', "'limit' not allowed"),
    ('ingress={"hosts": "one"}', "/ingress/hosts"),
    ('ingress={"path": "v1"}', "/ingress/path"),
    ('autoscaling={"requestsPerSecond": {"targets": 1}}', "'targets' not allowed"),
    ('networkPolicy={"ingressFrom": [{"cidr": "::/0"}]}', "'cidr' not allowed"),
    ('serviceMonitor={"interval": "30"}', "/serviceMonitor/interval"),
    ('calibration={"mode": "Deployment"}', "/calibration/mode"),
    ('calibration={"kinds": [{"gpus": 1}]}', "'name'"),
    ('calibration={"kinds": [{"name": "H100"}]}', "/calibration/kinds/0/name"),
    ('calibration={"kinds": [{"name": "h100", "node": {}}]}', "'node' not allowed"),
    ('calibration={"schedule": "weekly"}', "/calibration/schedule"),
    ('agents={"url": "gpus.example.org"}', "/agents/url"),
    ('agents={"intervalSeconds": 0}', "/agents/intervalSeconds"),
    ('imports={"jobs": [{"name": "aws", "schedule": "5 2 * * *"}]}', "'arguments'"),
    ('tolerations=[{"effect": "Never"}]', "/tolerations/0/effect"),
    ('extraEnv=[{"value": "x"}]', "'name'"),
    ('startupProbe={"path": "/"}', "'path' not allowed"),
])
def test_what_is_not_meant_is_refused_by_name(helm, flag, where):
    said = helm("template", "rel", CHART, *set_flags(flag), status=1)
    assert where in said, said


@pytest.mark.parametrize("flags, advice", [
    (["database.existingSecret=\"a\"", "cnpg.enabled=true"], "Leave out database.existingSecret"),
    (['imports.jobs=[{"name": "a", "schedule": "@daily", "arguments": ["aws"]}]'], "set database.existingSecret"),
    (['settings={"reading_needs_key": "on"}'], "keys are in a database"),
    (['settings={"reports_need_key": "off"}'], "replicaCount=1"),
    (['settings={"profiles": "/x"}', 'database.existingSecret="a"'], "Leave out one of them"),
    (["ingress.enabled=true"], "ingress.hosts"),
    (["httpRoute.enabled=true"], "httpRoute.parentRefs"),
    (["httpRoute.enabled=true", 'httpRoute.parentRefs=[{"name": "g"}]'], "httpRoute.hostnames"),
    ([f"allowedHosts={json.dumps([f'h{i}.example.org' for i in range(11)])}"], "name fewer"),
    (["autoscaling.enabled=true", "autoscaling.minReplicas=9", "autoscaling.maxReplicas=3"], "swap them"),
    (["autoscaling.enabled=true", "autoscaling.targetCPUUtilizationPercentage=0"], "a figure to scale by"),
    (["autoscaling.enabled=true", "resources=null"], "resources.requests.cpu"),
    (["calibration.enabled=true"], "calibration.kinds"),
    (["calibration.enabled=true", 'calibration.kinds=[{"name": "a"}]'], "gpusize key create"),
    (["calibration.enabled=true", 'calibration.kinds=[{"name": "a"}]', 'calibration.existingSecret="s"'], "kept in a database"),
    (["calibration.enabled=true", 'calibration.kinds=[{"name": "a"}]', 'calibration.existingSecret="s"',
      'calibration.url="https://gpus.example.org"'], "over http"),
    (["calibration.enabled=true", 'calibration.kinds=[{"name": "a"}, {"name": "a"}]', 'calibration.existingSecret="s"',
      'database.existingSecret="d"'], "twice"),
    (["agents.enabled=true"], "keys are in a database"),
    (["agents.enabled=true", 'database.existingSecret="d"'], "gpusize key create"),
    (["agents.enabled=true", 'settings={"reports_need_key": "off"}'], "replicaCount=1"),
    (['database.existingSecret="d"', 'imports.jobs=[{"name": "a", "schedule": "@daily", "arguments": ["x"]}, '
      '{"name": "a", "schedule": "@daily", "arguments": ["y"]}]'], "twice"),
])
def test_contradictions_are_refused_with_the_way_out(helm, flags, advice):
    arguments = [argument for flag in flags for argument in set_flags(flag)]
    said = helm("template", "rel", CHART, *arguments, status=1)
    assert advice in said, said


def schema_objects(node):
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            yield node
        for value in node.values():
            yield from schema_objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from schema_objects(value)


def test_the_schema_is_strict_and_whole_in_itself():
    schema = json.loads((CHART / "values.schema.json").read_text())
    found = list(schema_objects(schema))
    assert len(found) > 30 and all(node["additionalProperties"] is False for node in found)
    references = re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema))
    assert references and all(reference.startswith("#/$defs/") for reference in references)


def test_the_schema_names_the_values_that_there_are():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(node, value, path):
        if "properties" not in node or path == "/settings":
            return
        assert set(node["properties"]) - {"global"} >= set(value), path
        missing = set(node["properties"]) - {"global"} - set(value)
        assert not missing or path in ("/image", "/calibration/image"), f"{path}: {missing} have no default"
        for name in value:
            compare(node["properties"][name], value[name], f"{path}/{name}")

    compare(schema, values, "")


def test_settings_of_the_chart_are_those_of_the_program(program):
    """By name and bounds. Those that the chart itself sets are left out."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    said = subprocess.run([program, "serve", "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    names = {name.replace("-", "_") for name in re.findall(r"^  --([a-z-]+)", said, re.M)}
    own = {"settings_file", "listen", "port", "allowed_hosts", "database_url", "database_listen_url", "snapshot_cache"}
    assert names - own - {"help"} == set(schema)
    for name, node in schema.items():
        if node.get("type") != "integer":
            continue
        for value in (node["minimum"], node["maximum"]):
            done = subprocess.run([program, "serve", "--port", "70000", f"--{name.replace('_', '-')}", str(value)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert "port" in done.stdout and name not in done.stdout, done.stdout
        over = subprocess.run([program, "serve", "--port", "70000", f"--{name.replace('_', '-')}", str(node["maximum"] + 1)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert name in over.stdout, over.stdout


@pytest.mark.parametrize("tool", ["make_chart.py", "make_dashboard.py"])
def test_what_is_made_is_as_it_would_be_made(tools, tool):
    done = subprocess.run([sys.executable, PROJECT / "tools" / tool, "--check"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_the_chart_is_of_the_program_that_is_here(program):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = subprocess.run([program, "version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert chart["appVersion"] in version.split()
    assert f":{chart['appVersion']}\n" in chart["annotations"]["artifacthub.io/images"]


# --- registry ---


@pytest.fixture
def registry(tmp_path):
    """The address of a registry of our own, which ends with the test."""
    program = shutil.which("docker-registry")
    assert program, "needs docker-registry: scripts/install-deploy-tools"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "registry.yaml"
    settings.write_text(json.dumps({
        "version": 0.1, "log": {"level": "warn"}, "storage": {"filesystem": {"rootdirectory": str(tmp_path / "store")}},
        "http": {"addr": f"127.0.0.1:{port}"}}))
    log = open(tmp_path / "log", "wb")
    process = subprocess.Popen([program, "serve", settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.05)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(30)
    log.close()


def test_it_goes_to_a_registry_and_comes_back(helm, render, registry, tmp_path):
    helm("package", CHART, "--destination", tmp_path)
    package = tmp_path / "gpusize-0.1.0.tgz"
    listed = subprocess.run(["tar", "-tzf", package], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert "gpusize/files/dashboard.json" in listed and "gpusize/values.schema.json" in listed
    assert not [name for name in listed if "/ci/" in name]
    helm("push", package, f"oci://{registry}/charts", "--plain-http")
    back = tmp_path / "back"
    back.mkdir()
    helm("pull", f"oci://{registry}/charts/gpusize", "--version", "0.1.0", "--plain-http", "--destination", back)
    assert (back / package.name).read_bytes() == package.read_bytes()
    values = CHART / "ci" / "monitoring-values.yaml"
    pulled = helm("template", "rel", f"oci://{registry}/charts/gpusize", "--version", "0.1.0", "--plain-http",
                  "--namespace", "sizing", "--kube-version", "1.34.0", "-f", values)
    assert list(filter(None, yaml.safe_load_all(pulled))) == render("-f", values)
