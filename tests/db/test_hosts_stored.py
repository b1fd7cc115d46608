"""test_hosts_stored.py owns the tests of what hosts report where it lies in a database: days that come and go, several services,
restarts, alerts that outlive their service, agents that wait while the database is away."""
import json
import os
import re
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from documents import database_sql
from hook import Hook
from samples import batch, gpu, rising, sample
from waiting import LIMIT_S, await_true

DAYS = ("select string_agg(right(c.relname, 8), ' ' order by c.relname) from pg_inherits i"
        " join pg_class c on c.oid = i.inhrelid where i.inhparent = 'gpusize.monitor_sample'::regclass")
OPEN = ("--reports-need-key", "off", "--access-log", "0")


class Watched:
    """A service, asked by a reader."""

    def __init__(self, service, key):
        self.service, self.headers = service, {"Authorization": f"Bearer {key}"}

    def report(self, body):
        return self.service.call("POST", "/v1/monitor/samples", json=body)

    def ask(self, path, **query):
        return self.service.call("GET", "/v1/monitor/" + path, query=query, headers=self.headers)


@pytest.fixture
def watched(database, serve, make_key):
    """watched(*arguments): one more service on the test's database."""
    key = make_key(database, "reader")

    def start(*arguments, **more):
        one = Watched(serve(database, *OPEN, *arguments, **more), key)
        await_true(lambda: one.ask("gpus").status == 200)
        return one

    return start


def test_two_services_tell_the_same(watched):
    one, other = watched(), watched()
    assert one.report(rising("shared")).json["stored"] == 20
    assert other.report(rising("shared-2")).json["stored"] == 20
    for path, query in (("alerts", {}), ("statistics", {"host": "shared"}), ("history", {"host": "shared-2", "limit": 5})):
        assert one.ask(path, **query).json == other.ask(path, **query).json
    assert [host["host"] for host in other.ask("gpus").json["hosts"]] == ["shared", "shared-2"]
    card, = one.ask("statistics", host="shared").json["gpus"]
    assert card["memory"]["full_in_minutes"]["value"] == pytest.approx(41 / 12, rel=1e-3)


def test_the_same_answers_as_memory(watched, start_service):
    """Whatever is reported, in whatever order, both places tell the same of it."""
    stored = watched()
    memory = start_service(*OPEN)
    body = rising("same", count=30)
    body["samples"][3]["gpus"].append(gpu(70, 1, processes=[{"pid": 7, "name": "python3", "used_bytes": 5}], mig=True))
    parts = [body["samples"][10:], body["samples"][:12], [body["samples"][2], body["samples"][29]]]
    for part in parts:
        told = memory.call("POST", "/v1/monitor/samples", json=batch("same", *part))
        assert stored.report(batch("same", *part)).json == told.json
    for path, query in (("statistics", {}), ("statistics", {"window_minutes": 1}), ("statistics", {"gpu": "1"}),
                        ("history", {"limit": 1000}), ("history", {"limit": 4, "gpu": "GPU-0"}), ("alerts", {}),
                        ("statistics", {"gpu": "5"}), ("statistics", {"until": body["samples"][9]["time"]}),
                        ("history", {"until": body["samples"][9]["time"], "limit": 3})):
        query = {"host": "same", **query}
        answer = memory.call("GET", "/v1/monitor/" + path, query=query)
        asked = stored.ask(path, **query)
        assert asked.status == answer.status
        if answer.status == 200:
            assert asked.json == answer.json, (path, query)
    newest, = (one["hosts"] for one in [stored.ask("gpus").json])
    remembered = memory.call("GET", "/v1/monitor/gpus").json["hosts"]
    assert newest[0]["sample"] == remembered[0]["sample"] and newest[0]["alerts"] == remembered[0]["alerts"]


def test_a_restart_forgets_nothing(watched, sql):
    first = watched("--alert-for", "30")
    first.report(batch("kept", sample(65, gpu(1))))
    first.report(batch("kept", sample(60, gpu(79))))
    assert first.ask("alerts").json["alerts"][0]["state"] == "pending"
    before = first.ask("history", host="kept").json
    first.service.stop()
    second = watched("--alert-for", "30")
    assert second.ask("history", host="kept").json == before
    second.report(batch("kept", sample(20, gpu(79))))  # 40 s over the threshold by now, over both services
    alert, = second.ask("alerts").json["alerts"]
    assert (alert["state"], alert["peak"]) == ("firing", pytest.approx(79 / 80, rel=1e-5))
    assert sql("select alert_count from gpusize.monitor_host") == "1"


def test_an_alert_is_told_once(watched):
    """Two services get the same samples at once, as a balancer that repeats would have it."""
    with Hook() as hook:
        both = [watched("--alert-webhook", hook.url) for _ in range(2)]
        bodies = [batch(f"h{i}", sample(3, gpu(10)), sample(2, gpu(79)), sample(1, gpu(10))) for i in range(8)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: both[i % 2].report(bodies[i // 4]), range(32)))
        assert all(answer.status == 200 for answer in answers)
        assert sum(answer.json["stored"] for answer in answers) == 24
        await_true(lambda: len(hook.posts) == 16)
        told = sorted((json.loads(body)["host"], json.loads(body)["state"]) for _, _, body in hook.posts)
        assert told == sorted((f"h{i}", state) for i in range(8) for state in ("firing", "resolved"))
        for one in both:
            one.service.stop()  # sends what waits
        assert len(hook.posts) == 16


def test_days_are_made_and_dropped(watched, sql):
    sql("select gpusize.monitor_make_days(current_date - 40, current_date - 38)")
    sql("insert into gpusize.monitor_host values ('gone', now() - interval '9 days', '{}', '{}', 0)")
    assert len(sql(DAYS).split()) == 3
    one = watched("--monitor-keep-days", "3")
    told = one.report(batch("days", *(sample(day * 86400 + 60, gpu(1)) for day in range(5)))).json
    assert (told["stored"], told["too_old"]) == (3, 2)
    await_true(lambda: sql("select count(*) from gpusize.monitor_host") == "1")
    days = sql(DAYS).split()
    today = sql("select to_char(now() at time zone 'UTC', 'YYYYMMDD')")
    assert 3 <= len(days) <= 4 and (today in days or max(days) < today)
    assert sql("select count(*) from gpusize.monitor_sample") == "3"
    assert sql("select gpusize.monitor_make_days(day, day), gpusize.monitor_keep(3)"  # the oldest that is kept
               " from (select (now() at time zone 'UTC')::date - 3 as day) oldest") == "|0"
    assert int(sql("select gpusize.monitor_keep(1)")) >= 1
    assert one.ask("history", host="days", window_minutes=10080).json["samples"]


def test_days_are_made_by_many_at_once(watched, sql):
    both = [watched(), watched()]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: both[i % 2].report(batch(f"m{i}", *(sample(86400 * d + 60) for d in range(6)))), range(16)))
    assert all(answer.status == 200 and answer.json["stored"] == 6 for answer in answers), [a.text for a in answers]
    assert 6 <= len(sql(DAYS).split()) <= 7 and sql("select count(*) from gpusize.monitor_sample") == "96"


def test_hosts_have_an_end(watched, sql):
    one = watched("--monitor-hosts-max", "3")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: one.report(batch(f"m{i}", sample(1))), range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [422] * 5
    assert "monitor_hosts_max" in next(answer.text for answer in answers if answer.status == 422)
    sql("update gpusize.monitor_host set sampled_at = now() - interval '2 days' where host ="
        " (select min(host) from gpusize.monitor_host)")
    assert one.report(batch("new", sample(1))).status == 200
    assert sql("select count(*) from gpusize.monitor_host") == "3"


def test_long_windows(watched):
    """More than one result holds."""
    one = watched()
    body = batch("long", *(sample(600 - i, gpu(i / 10)) for i in range(600)))
    assert one.report(body).json["stored"] == 600
    again = batch("long", *(sample(1200.5 - i, gpu(1)) for i in range(600)))
    assert one.report(again).json["stored"] == 600
    assert one.ask("statistics", host="long", window_minutes=30).json["sample_count"] == 1200
    assert len(one.ask("history", host="long", window_minutes=30, limit=1000).json["samples"]) == 1000


def test_roles_as_the_page_has_them(cluster, program, serve):
    cluster.sql("postgres", "create role gpusize login")
    database = cluster.empty_database(owner="gpusize")
    cluster.migrate(program, database, "gpusize")
    cluster.sql(database, database_sql("Roles"))
    for role in ("gpusize_reader", "gpusize_writer"):
        service = serve(database, *OPEN, url=cluster.url(database, role))
        told = service.call("POST", "/v1/monitor/samples", json=rising(role))
        assert told.status == 200 and told.json["stored"] == 20, told.text
        await_true(lambda: service.call("GET", "/readyz").status == 200)
        assert not any("old_samples_not_dropped" in line for line in service.log)


@pytest.fixture
def play(tmp_path):
    (tmp_path / "readings").write_text("used=40000 total=81920\n", encoding="ascii")
    return {**os.environ, "LD_LIBRARY_PATH": str(Path(os.environ["GPUSIZE_FAKES"]) / "fake_nvml"),
            "FAKE_NVML_SCRIPT": str(tmp_path / "readings")}


def test_an_agent_keeps_what_the_database_cannot_take(cluster, watched, program, play, sql):
    one = watched()
    address = f"http://127.0.0.1:{one.service.address[1]}"
    agent = subprocess.Popen([program, "monitor", "--json", "--interval", "0.05", "--host", "agent", "--report-to", address,
                              "--report-interval", "0.1"], env=play, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    try:
        await_true(lambda: sql("select count(*) from gpusize.monitor_sample") != "0")
        cluster.stop(signal.SIGQUIT)
        await_true(lambda: one.report(batch("x", sample(1))).status == 503)
        cluster.start()
        await_true(lambda: one.report(batch("x", sample(1))).status == 200)
        before = int(sql("select count(*) from gpusize.monitor_sample where host = 'agent'"))
        await_true(lambda: int(sql("select count(*) from gpusize.monitor_sample where host = 'agent'")) > before + 2)
        agent.send_signal(signal.SIGINT)
        said, complaints = agent.communicate(timeout=LIMIT_S)
    finally:
        if agent.poll() is None:
            agent.kill()
    seen = [entry["sample"]["time"] for entry in map(json.loads, said.splitlines()) if "sample" in entry]
    stored = sql("select sample ->> 'time' from gpusize.monitor_sample where host = 'agent' order by sampled_at").split()
    assert stored == seen, complaints  # every one of them, those of the outage too


def test_a_service_keeps_its_own_samples_while_the_database_is_away(cluster, watched, play, sql):
    one = watched("--monitor-interval-s", "1", env=play)

    def own():
        text = one.service.call("GET", "/metrics").text
        return [int(re.search(rf"^gpusize_monitor_own_samples_{name} (\d+)$", text, re.M)[1])
                for name in ("waiting", r'total\{result="stored"\}', r'total\{result="dropped"\}')]

    count = "select count(*) from gpusize.monitor_sample where host = '" + socket.gethostname() + "'"
    await_true(lambda: sql(count) != "0")
    cluster.stop(signal.SIGQUIT)
    await_true(lambda: own()[0] > 1)  # one may be under way
    waited = sum(own())
    assert "gpusize_gpu_memory_used_bytes{" in one.service.call("GET", "/metrics").text
    assert one.service.call("GET", "/livez").status == 200
    cluster.start()
    await_true(lambda: own()[0] == 0 and own()[1] > waited)
    first, rows, last = own(), int(sql(count)), own()
    assert first[1] <= rows <= last[1] and last[2] == 0  # each of those of the outage, too
    assert any('"event":"sink_works_again","sink":"report"' in line for line in one.service.log)
