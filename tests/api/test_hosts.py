"""test_hosts.py owns the tests of what hosts report by HTTP: what is taken and refused, what is told of it, who may, and
that nobody fills the memory."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from hook import Hook
from samples import GIB, batch, gpu, rising, sample, time_text
from service import Service
from waiting import LIMIT_S, await_true

PATHS = ["gpus", "alerts", "statistics", "history"]
WINDOWS = ["statistics", "history"]


@pytest.fixture(scope="module")
def open_service(program, contract):
    """Without a database, where hosts are trusted."""
    running = Service(program, contract, "--reports-need-key", "off", "--monitor-hosts-max", "60")
    yield running
    running.stop()


@pytest.fixture
def report(open_service):
    def call(body, **more):
        return open_service.call("POST", "/v1/monitor/samples", json=body, **more)
    return call


@pytest.fixture
def ask(open_service):
    def call(path, **query):
        return open_service.call("GET", "/v1/monitor/" + path, query=query)
    return call


def errors(answer):
    return {error["field"]: error["detail"] for error in answer.json["errors"]}


# --- what is told

def test_hosts_show_their_newest_sample(report, ask):
    first, second = sample(9, gpu(10), gpu(20, 1)), sample(3, gpu(30), gpu(75, 1))
    assert report(batch("b-host", first, second)).json == {"host": "b-host", "stored": 2, "repeated": 0, "too_old": 0}
    report(batch("a-host", sample(1)))
    hosts = [host for host in ask("gpus").json["hosts"] if host["host"] in ("a-host", "b-host")]
    assert [host["host"] for host in hosts] == ["a-host", "b-host"]
    one, = ask("gpus", host="b-host").json["hosts"]
    assert one["sample"]["time"] == second["time"] and 3 <= one["seconds_ago"] < 3 + LIMIT_S
    assert [card["memory_used_bytes"] for card in one["sample"]["gpus"]] == [30 * GIB, 75 * GIB]
    assert one["sample"]["gpus"][0]["power_watts"] is None and one["sample"]["system_memory"]["usage_ratio"] == 0.1
    assert [(alert["type"], alert["gpu"]["index"], alert["value"]) for alert in one["alerts"]] == [
        ("gpu_memory_high", 1, 0.9375)]
    assert ask("gpus", host="nobody").json == {"hosts": [], "total_count": 0, "next_cursor": None}


def test_pages(report, ask):
    for name in ("page-1", "page-2"):
        report(batch(name, sample(1, gpu(79))))
    for path, key in (("gpus", "hosts"), ("alerts", "alerts")):
        whole = ask(path).json
        seen, query = [], {"limit": 1}
        for _ in range(whole["total_count"]):
            page = ask(path, **query).json
            seen += page[key]
            query["cursor"] = page["next_cursor"]
        assert query["cursor"] is None
        assert [one["host"] for one in seen] == [one["host"] for one in whole[key]]
        assert ask(path, cursor="x").status == 422


def test_figures_of_a_window_and_when_memory_is_full(report, ask):
    report(rising("rises"))
    told = ask("statistics", host="rises").json
    card, = told["gpus"]
    assert (told["sample_count"], told["window_minutes"], card["index"]) == (20, 10, 0)
    ratios = [(20 + i) / 80 for i in range(20)]
    memory = card["memory"]
    assert memory["avg_usage_ratio"] == pytest.approx(sum(ratios) / 20, rel=1e-5)
    assert memory["max_usage_ratio"] == memory["current_usage_ratio"] == pytest.approx(39 / 80, rel=1e-5)
    assert memory["min_usage_ratio"] == 0.25 and memory["p95_usage_ratio"] == pytest.approx(38 / 80, rel=1e-5)
    full = memory["full_in_minutes"]  # 41 GiB are left, 12 more are used each minute
    assert full["value"] == pytest.approx(41 / 12, rel=1e-3) and full["low"] <= full["value"] <= full["high"]
    assert told["system_memory"]["full_in_minutes"] is None
    last = ask("statistics", host="rises", window_minutes=0.3).json
    assert last["sample_count"] == 4 and last["gpus"][0]["memory"]["min_usage_ratio"] == 0.45
    before = ask("statistics", host="rises", until=time_text(3000)).json
    assert (before["host"], before["sample_count"], before["gpus"]) == (None, 0, [])


def test_history_goes_back_page_by_page(report, ask):
    body = batch("past", *(sample(40 - i, gpu(i), gpu(i + 1, 1)) for i in range(30)))
    assert report(body).json["stored"] == 30
    times, query = [], {"host": "past", "gpu": "1", "limit": 7}
    while True:
        page = ask("history", **query).json
        assert len(page["samples"]) <= 7
        times += [one["time"] for one in page["samples"]]
        assert all([card["uuid"] for card in one["gpus"]] == ["GPU-1"] for one in page["samples"])
        if not page["next_until"]:
            break
        query["until"] = page["next_until"]
        assert len(times) <= 30
    assert times == [one["time"] for one in reversed(body["samples"])]
    assert len(ask("history", host="past", gpu="GPU-0", window_minutes=0.105).json["samples"]) == 7


@pytest.mark.parametrize("suffix", [".json", ".csv", ".xml", ".txt"])
@pytest.mark.parametrize("path", PATHS)
def test_formats(report, open_service, path, suffix):
    report(batch("formed", sample(1, gpu(79))))
    query = {"host": "formed"}
    fields = {"gpus": "hosts[0].host", "alerts": "alerts[0].type", "statistics": "gpus[0].uuid",
              "history": "samples[0].gpus[0].uuid"}
    if suffix == ".txt":
        query["field"] = fields[path]
    answer = open_service.call("GET", f"/v1/monitor/{path}{suffix}", query=query)
    assert answer.status == 200
    assert "formed" in answer.text or "GPU-0" in answer.text or "gpu_memory_high" in answer.text or path == "history"
    assert "ETag" not in answer.headers  # the same question has another answer soon


# --- what is taken

def test_the_same_again_does_no_harm(report, ask):
    body = rising("again")
    assert report(body).json["stored"] == 20
    before = ask("history", host="again").json
    assert report(body).json == {"host": "again", "stored": 0, "repeated": 20, "too_old": 0}
    doubled = batch("again", *body["samples"][:2], *body["samples"][:2], sample(0, gpu(1)))
    assert report(doubled).json["stored"] == 1
    assert ask("history", host="again").json["samples"][1:] == before["samples"]


def test_late_samples_go_to_their_place(report, ask):
    late = sample(30, gpu(79))
    report(batch("late", sample(1, gpu(10))))
    assert report(batch("late", late)).json["stored"] == 1
    assert ask("gpus", host="late").json["hosts"][0]["sample"]["gpus"][0]["memory_used_bytes"] == 10 * GIB
    assert [one["time"] for one in ask("history", host="late").json["samples"]][1] == late["time"]
    assert ask("alerts", host="late").json["alerts"] == []  # what is over was never seen to begin


def test_clocks_that_jump(report, ask):
    ahead = report(batch("jumps", sample(1), sample(-400), sample(-290)))
    assert ahead.status == 422 and list(errors(ahead)) == ["samples[1].time"]
    assert "more than 5 minutes ahead" in errors(ahead)["samples[1].time"]
    assert ask("gpus", host="jumps").json["total_count"] == 0  # nothing of the batch was taken
    old = report(batch("jumps", sample(8 * 86400), sample(6 * 86400), sample(1)))
    assert old.json == {"host": "jumps", "stored": 2, "repeated": 0, "too_old": 1}
    restarted = sample(0, up_s=1)
    assert report(batch("jumps", restarted)).json["stored"] == 1
    assert ask("gpus", host="jumps").json["hosts"][0]["sample"]["monotonic_ms"] == restarted["monotonic_ms"]


@pytest.mark.parametrize("name", ["ü-host", "a b", "'; drop table x; --", "%s%n", "../../etc", "=1+1", "x" * 253, "\U0001f5a5"])
def test_names_of_hosts(report, ask, name):
    assert report(batch(name, sample(1))).status == 200
    host, = ask("gpus", host=name).json["hosts"]
    assert host["host"] == name and ask("history", host=name).json["host"] == name


REFUSED = [
    ({"host": ""}, 400, "host"), ({"host": "x" * 254}, 422, "host"), ({"host": "a\nb"}, 422, "host"), ({"host": 7}, 400, "host"),
    ({"schema": "monitor/2"}, 422, "schema"), ({"schema": None}, 400, "schema"),
    ({"samples": []}, 400, "samples"), ({"samples": {}}, 400, "samples"), ({"samples": [7]}, 400, "samples[0]"),
    ({"samples": [sample(1)] * 601}, 422, "samples"),
    ({"samples": [sample(1, time="yesterday")]}, 422, "samples[0].time"),
    ({"samples": [sample(1, monotonic_ms=1.5)]}, 400, "samples[0].monotonic_ms"),
    ({"samples": [sample(1, gpu(1), gpu(2))]}, 400, "samples[0].gpus[1].uuid"),
    ({"samples": [sample(1, gpu(-1))]}, 422, "samples[0].gpus[0].memory_used_bytes"),
    ({"samples": [sample(1, gpu(1, uuid=""))]}, 400, "samples[0].gpus[0].uuid"),
    ({"samples": [sample(1, *(gpu(1, i) for i in range(65)))]}, 422, "samples[0].gpus"),
]


@pytest.mark.parametrize("change, status, field", REFUSED)
def test_what_is_refused_names_the_field(report, ask, change, status, field):
    answer = report({**batch("bad", sample(1)), **change})
    assert answer.status == status and field in errors(answer), answer.text
    assert ask("gpus", host="bad").json["total_count"] == 0


@pytest.mark.parametrize("body, status", [(b"", 400), (b"{", 400), (b"[]", 400), (b"\xff", 400), (b"x" * (4 * 1024 * 1024 + 1), 413),
                                          (b'{"schema":"monitor/1","a":' + b"[" * 100 + b"]" * 100 + b"}", 400)])
def test_hostile_bodies(open_service, body, status):
    answer = open_service.call("POST", "/v1/monitor/samples", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == status


def test_a_report_has_no_parameters(report):
    assert report(batch("x", sample(1)), query={"host": "y"}).status == 400


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_questions_refuse(report, ask, suffix):
    report(batch("asked", sample(1, gpu(1))))
    for path in PATHS:
        assert ask(path + suffix, hosts="asked").status == 400
    for path in WINDOWS:
        assert "host" in errors(ask(path + suffix))
        assert "nobody" in errors(ask(path + suffix, host="nobody"))["host"]
        assert ask(path + suffix, host="nobody").status == ask(path + suffix, host="asked", gpu="7").status == 404
        assert "until" in errors(ask(path + suffix, host="asked", until="now"))
        assert ask(path + suffix, host="asked", window_minutes=0).status == 422
    assert ask("alerts" + suffix, state="bad").status == ask("gpus" + suffix, limit=0).status == 422


# --- limits

def test_a_million_hosts(start_service):
    service = start_service("--reports-need-key", "off", "--monitor-hosts-max", "50", "--access-log", "0")

    def add(name, seconds_ago=1):
        return service.call("POST", "/v1/monitor/samples", json=batch(name, sample(seconds_ago)))

    assert all(add(f"host-{i}", 2 * 86400 if i < 3 else 1).status == 200 for i in range(50))
    assert all(add(f"other-{i}").status == 200 for i in range(3))  # in the place of those that are silent
    full = add("one-more")
    assert full.status == 422 and "at most 50 hosts (monitor_hosts_max)" in errors(full)["host"]
    assert add("host-7", 0).status == 200
    hosts = service.call("GET", "/v1/monitor/gpus", query={"limit": 1000}).json
    assert hosts["total_count"] == 50 and not {"host-0", "host-1", "host-2"} & {one["host"] for one in hosts["hosts"]}


def test_memory_has_an_end(start_service):
    service = start_service("--reports-need-key", "off", "--monitor-memory-max-mib", "1", "--access-log", "0")
    cards = [gpu(1, i) for i in range(64)]  # about 34 KiB a sample

    def add(name, first):
        return service.call("POST", "/v1/monitor/samples", json=batch(name, *(sample(first - i, *cards) for i in range(20))))

    assert add("early", 500).json["stored"] == 20 and add("later", 100).json["stored"] == 20

    def count(name):
        return service.call("GET", "/v1/monitor/statistics", query={"host": name}).json["sample_count"]

    assert count("later") == 20 and 1 <= count("early") < 20  # the oldest have gone
    assert all(service.call("POST", "/v1/monitor/samples", json=batch(f"n{i}", sample(1, *cards))).status == 200 for i in range(20))
    full = [service.call("POST", "/v1/monitor/samples", json=batch(f"m{i}", sample(1, *cards))) for i in range(20)]
    assert full[-1].status == 422 and "monitor_memory_max_mib" in full[-1].text
    assert service.call("GET", "/v1/monitor/gpus", query={"host": "early"}).json["total_count"] == 1
    newer = batch("early", sample(0, *cards))  # a host that is known is still up to date
    for added in ({"stored": 1, "repeated": 0}, {"stored": 0, "repeated": 1}):
        told = service.call("POST", "/v1/monitor/samples", json=newer).json
        assert told == {"host": "early", **added, "too_old": 0}
    assert count("early") == 1


def test_a_window_has_an_end(start_service):
    service = start_service("--reports-need-key", "off", "--monitor-memory-max-mib", "100", "--monitor-samples-max", "3000",
                            "--access-log", "0")
    cards = [gpu(1, i) for i in range(64)]
    for first in range(2400, 0, -200):
        body = batch("wide", *(sample(first - i, *cards) for i in range(200)))
        assert service.call("POST", "/v1/monitor/samples", json=body).json["stored"] == 200

    def ask(**query):
        return service.call("GET", "/v1/monitor/statistics", query={"host": "wide", **query})

    wide = ask(window_minutes=60)
    assert wide.status == 422 and "shorter window, or for one GPU" in errors(wide)["window_minutes"]
    assert 0 < ask(window_minutes=5).json["sample_count"] < 2400
    assert ask(window_minutes=60, gpu="7").json["sample_count"] == 2400


def test_the_ring_has_an_end(start_service):
    service = start_service("--reports-need-key", "off", "--monitor-samples-max", "5")
    assert service.call("POST", "/v1/monitor/samples", json=rising("ring")).json["stored"] == 20
    assert service.call("GET", "/v1/monitor/statistics", query={"host": "ring"}).json["sample_count"] == 5


# --- who may

def test_reports_need_keys_and_keys_a_database(service):
    answer = service.call("POST", "/v1/monitor/samples", json=batch("x", sample(1)))
    assert answer.status == 503 and answer.json["errors"][0]["code"] == "database_required"
    assert "reports_need_key = off" in answer.text


def test_keys(cluster, program, contract, make_key):
    database = cluster.database(program)
    stored = Service(program, contract, env={**os.environ, "DATABASE_URL": cluster.url(database)})
    try:
        writer, reader = ({"Authorization": f"Bearer {make_key(database, role)}"} for role in ("writer", "reader"))
        body = batch("keyed", sample(1, gpu(1)))

        def add(headers):
            return stored.call("POST", "/v1/monitor/samples", json=body, headers=headers).status

        await_true(lambda: add(writer) == 200)
        assert add(None) == add({"Authorization": "Bearer wrong"}) == 401 and add(reader) == 403
        for path in PATHS:
            for suffix in ("", ".csv"):
                query = {"host": "keyed"}
                assert stored.call("GET", "/v1/monitor/" + path + suffix, query=query).status == 401
                assert stored.call("GET", "/v1/monitor/" + path + suffix, query=query, headers=reader).status == 200
    finally:
        stored.stop()


# --- alerts, and who is told

def test_alerts_have_their_time_and_hysteresis(start_service, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    with Hook() as hook:
        service = start_service("--reports-need-key", "off", "--alert-threshold", "0.5", "--alert-hysteresis", "0.1",
                                "--alert-for", "10", "--alert-webhook", hook.url,
                                "--alert-webhook-secret-file", tmp_path / "secret")

        def state(seconds_ago, used):
            service.call("POST", "/v1/monitor/samples", json=batch("hot", sample(seconds_ago, gpu(used))))
            listed = service.call("GET", "/v1/monitor/alerts", query={"host": "hot"}).json["alerts"]
            return [one["state"] for one in listed]

        assert [state(60, 20), state(50, 50), state(39, 50), state(30, 39), state(20, 32)] == [
            [], ["pending"], ["firing"], ["firing"], ["resolved"]]
        assert service.call("GET", "/v1/monitor/alerts", query={"state": "resolved"}).json["total_count"] == 1
        assert service.call("GET", "/v1/monitor/alerts", query={"state": "firing"}).json["total_count"] == 0
        await_true(lambda: len(hook.posts) == 2)
        told = [json.loads(body) for _, _, body in hook.posts]
        assert [(one["state"], one["host"], one["threshold"]) for one in told] == [("firing", "hot", 0.5),
                                                                                 ("resolved", "hot", 0.5)]
        assert all(headers["X-Gpusize-Signature"].startswith("sha256=") for _, headers, _ in hook.posts)
        await_true(lambda: 'gpusize_alert_notifications_total{sink="webhook",result="sent"} 2' in
                   service.call("GET", "/metrics").text)
        metrics = service.call("GET", "/metrics").text
        assert "gpusize_alerts_total 2\n" in metrics
        assert 'gpusize_monitor_samples_total{result="stored"} 5\n' in metrics
        await_true(lambda: sum('"type":"gpu_memory_high"' in line for line in service.log) == 2)


def test_a_program_is_told(start_service, tmp_path):
    told = tmp_path / "told"
    service = start_service("--reports-need-key", "off", "--alert-log", "off", "--alert-exec", f"/usr/bin/dd of={told} status=none")
    service.call("POST", "/v1/monitor/samples", json=batch("told", sample(1, gpu(79))))
    await_true(lambda: 'sink="exec",result="sent"} 1' in service.call("GET", "/metrics").text)
    assert json.loads(told.read_text())["host"] == "told"
    assert not any('"type":"gpu_memory_high"' in line for line in service.log)


@pytest.mark.parametrize("arguments, said", [
    (["--alert-threshold", "85"], "a ratio"), (["--alert-threshold", "x"], "must be a number"),
    (["--alert-hysteresis", "0.9"], "less than the threshold"), (["--alert-webhook", "ftp://x"], "alert_webhook"),
    (["--alert-webhook-secret-file", "/none"], "/none"), (["--monitor-hosts-max", "0"], "monitor_hosts_max"),
    (["--alert-exec", " "], "alert_exec"), (["--alert-exec", "x " * 40], "alert_exec"),
])
def test_bad_settings(program, arguments, said):
    done = subprocess.run([program, "serve", "--port", "0", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LIMIT_S, check=False)
    assert done.returncode != 0 and said in done.stderr, done.stderr


# --- an agent

def test_an_agent_reports(program, open_service, ask, tmp_path):
    (tmp_path / "readings").write_text("used=40000 total=81920\nused=75000 total=81920\n", encoding="ascii")
    env = {**os.environ, "LD_LIBRARY_PATH": str(Path(os.environ["GPUSIZE_FAKES"]) / "fake_nvml"),
           "FAKE_NVML_SCRIPT": str(tmp_path / "readings")}
    address = f"http://127.0.0.1:{open_service.address[1]}"
    done = subprocess.run([program, "monitor", "--json", "--interval", "0.05", "--count", "10", "--host", "agent",
                           "--report-to", address, "--report-interval", "0.1"], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)
    seen = [entry["sample"]["time"] for entry in map(json.loads, done.stdout.splitlines()) if "sample" in entry]
    assert len(seen) == 10, done.stderr
    told = ask("history", host="agent").json["samples"]
    assert [one["time"] for one in reversed(told)] == seen
    assert [one["gpus"][0]["memory_used_bytes"] >> 20 for one in reversed(told)] == [40000] + [75000] * 9
    alert, = ask("alerts", host="agent").json["alerts"]
    assert (alert["type"], alert["state"], alert["total_gb"]) == ("gpu_memory_high", "firing", 80)
