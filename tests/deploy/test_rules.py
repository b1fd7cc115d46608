"""test_rules.py owns the tests of what is watched: alerts fire when they must, rules and dashboard use only what a running
service really tells, and each alert and metric is explained."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import CHART, PROJECT
from report import device, report
from waiting import await_true

RULES = CHART / "files" / "rules.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"
GUIDE = PROJECT / "docs" / "operations.md"
TARGET_LABELS = {"job", "instance", "namespace", "pod", "le"}
OUTSIDE = {"up", "ALERTS"}  # Prometheus' own
BUILT_IN = {"gpusize_catalog_age_days", "gpusize_provider_price_age_days"}  # days are what prices are dated in


@pytest.fixture(scope="module", autouse=True)
def installed(tools):
    return tools


def promtool(*arguments, text=None):
    return subprocess.run(["promtool", *map(str, arguments)], input=text, stdin=None if text else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions():
    """Of the rules, and of the dashboard with something chosen."""
    found = [rule["expr"] for rule in rules()]
    board = json.loads(DASHBOARD.read_text())
    texts = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(texts) > 20
    return found + [text.replace("$__rate_interval", "5m") for text in texts]


LINE = "acme,gpu-8,oslo,h100-sxm,8,on_demand,19.6,instance_total,2026-11-01,offer 4711\n"
HEAD = "provider,instance_type,region,gpu_id,gpu_count,purchase,usd_per_hour,price_basis,as_of,source\n"


@pytest.fixture
def page(cluster, database, serve, make_key, gpusize, tmp_path):
    """/metrics of a service that has seen everything: questions, an import, a stored answer, a calibration, a GPU."""
    (tmp_path / "contract.csv").write_text(HEAD + LINE)
    gpusize(cluster.url(database), "import", "csv", tmp_path / "contract.csv")
    key = make_key(database, "writer")
    (tmp_path / "readings").write_text("used=40000 reserved=500 total=81920 energy=5\n", encoding="ascii")
    service = serve(database, "--poll-interval-ms", "50", "--monitor-interval-s", "1", env={
        "LD_LIBRARY_PATH": str(Path(os.environ["GPUSIZE_FAKES"]) / "fake_nvml"), "FAKE_NVML_SCRIPT": str(tmp_path / "readings")})
    bearer = {"Authorization": f"Bearer {key}"}
    await_true(lambda: service.call("GET", "/v1/calibrations", headers=bearer).status == 200)
    service.call("POST", "/v1/calibrations", query={"pool": "own"}, json=report(device("h100-sxm")), headers=bearer)
    for _ in range(2):
        service.call("GET", "/v1/recommend", query={"model": "llama-3.1-8b", "rps": 1}, headers=bearer)
    service.call("GET", "/v1/none-such", check=False)

    def text():
        return service.call("GET", "/metrics").text

    await_true(lambda: "gpusize_calibration_drift_ratio{" in text() and "gpusize_import_age_seconds{" in text()
               and "gpusize_gpu_info{" in text() and not re.search("recommendations_stored_total 0", text()))
    return text()


def families(page):
    """{name: labels} of every series."""
    found = {}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", page, re.M):
        found.setdefault(name, set()).update(re.findall(r'([a-z_]+)="', labels))
    return found


def test_what_rules_and_dashboard_ask_for_is_told(page):
    told = families(page)
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for expression in expressions():
        plain = re.sub(r'"[^"]*"', '""', expression)
        asked = re.findall(r"\b((?:gpusize|process)[a-z_:0-9]+|up)\b(?:\{([^}]*)\})?", plain)
        assert asked, expression
        for name, matchers in asked:
            assert name in told or name in recorded or name in OUTSIDE, f"{name} of {expression}"
            used = set(re.findall(r"([a-z_]+)(?==|!)", matchers))
            known = told.get(name, set()) | TARGET_LABELS | ({"operation", "status"} if name in recorded else set())
            assert used <= known, f"{used - known} of {name}"
        grouped = {label for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", plain) for label in re.split(", *", group)}
        labels = set().union(*(told.get(name, set()) for name, _ in asked)) | TARGET_LABELS | {"operation"}
        assert grouped <= labels, f"{grouped - labels} of {expression}"


def test_what_is_told_is_explained_and_nothing_else(page):
    named = set(re.findall(r"`((?:gpusize|process)_[a-z_]+)`", GUIDE.read_text()))
    told = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    assert told - named == set()
    assert {name for name in named - told if not name.startswith("gpusize_http_requests_per")} == set()


def test_the_page_is_as_prometheus_wants_it(page):
    done = promtool("check", "metrics", text=page)
    complaints = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert complaints <= BUILT_IN, done.stdout


def test_rules_can_be_loaded(tmp_path):
    shutil.copy(RULES, tmp_path / "rules.yaml")
    shutil.copy(PROJECT / "deploy" / "prometheus.yaml", tmp_path)
    for arguments in (["check", "rules", tmp_path / "rules.yaml"], ["check", "config", tmp_path / "prometheus.yaml"]):
        done = promtool(*arguments)
        assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout


def test_alerts_fire_when_they_must(tmp_path):
    shutil.copy(RULES, tmp_path / "rules.yaml")
    shutil.copy(PROJECT / "tests" / "deploy" / "rules_test.yaml", tmp_path)
    done = promtool("test", "rules", tmp_path / "rules_test.yaml")
    assert done.returncode == 0, done.stdout
    tested = (tmp_path / "rules_test.yaml").read_text()
    silent = {rule["alert"] for rule in rules() if "alert" in rule and rule["alert"] not in tested}
    assert not silent, f"nobody has seen {silent} fire"
    # The tests see a rule that was changed.
    (tmp_path / "rules.yaml").write_text(RULES.read_text().replace("gpusize_database_up == 0", "gpusize_database_up == 2"))
    assert promtool("test", "rules", tmp_path / "rules_test.yaml").returncode != 0


def test_what_the_dashboard_asks_can_be_read(tmp_path):
    board = json.loads(DASHBOARD.read_text())
    asked = [{"record": f"panel_{i}", "expr": text} for i, text in enumerate(expressions())]
    (tmp_path / "asked.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": asked}]}))
    done = promtool("check", "rules", tmp_path / "asked.yaml")
    assert done.returncode == 0, done.stdout
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers))
    taken = [(p["gridPos"]["x"] + x, p["gridPos"]["y"] + y) for p in board["panels"]
             for x in range(p["gridPos"]["w"]) for y in range(p["gridPos"]["h"])]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) == 23


def test_every_alert_has_its_section():
    sections = re.findall(r"^### (\w+)$", GUIDE.read_text(), re.M)
    assert sections == sorted(set(sections), key=sections.index)
    assert set(sections) == {rule["alert"] for rule in rules() if "alert" in rule}
    anchors = {section.lower() for section in sections}
    assert set(re.findall(r"\]\(#([a-z]+)\)", GUIDE.read_text())) <= anchors
