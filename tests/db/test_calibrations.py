"""test_calibrations.py owns the tests of calibrations in a database: every service shows an upload, what retires what,
what is told in metrics and the audit log, and databases of an older program."""
import json
import re
from pathlib import Path

import pytest

from live import QUICKLY, await_ready, await_version, newest
from report import changed, device, report
from waiting import await_true

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "sql" / "migrations"
QUESTION = {"model": "llama-3.1-8b", "gpu": "h200-sxm", "tensor_parallel": 1, "concurrency": 16}


@pytest.fixture
def key(database, make_key):
    return make_key(database, "writer")


@pytest.fixture
def service(database, serve):
    return serve(database, *QUICKLY)


@pytest.fixture
def send(service, key):
    """send(method, path, json, **query): by the key of a writer."""
    def call(method, path, json=None, **query):
        headers = {"Authorization": f"Bearer {key}"}
        return service.call(method, "/v1/" + path, json=json, query=query or None, headers=headers)

    await_true(lambda: call("DELETE", "calibrations", id="zz").status == 404)
    return call


def states(sql, pool="own"):
    return dict(line.split("|") for line in sql(
        f"select id, state from gpusize.calibration where to_version is null and pool = '{pool}'").splitlines())


def upload(send, *devices, pool="own", status=201, **members):
    answer = send("POST", "calibrations", report(*devices, **members), pool=pool)
    assert answer.status == status, answer.text
    return answer.json


def test_every_service_answers_with_it(database, sql, serve, service, send):
    other = serve(database, *QUICKLY)
    before = other.call("GET", "/v1/throughput", query=QUESTION).json
    made = upload(send, device("h200-sxm", scale=0.9))
    for one in (service, other):
        await_version(one, newest(sql))
        after = one.call("GET", "/v1/throughput", query=QUESTION).json
        assert after["catalog_version"] == made["catalog_version"]
        assert after["output_tokens_per_second"]["value"] < before["output_tokens_per_second"]["value"]
        assert made["calibrations"][0]["source"] in json.dumps(after["provenance"])
    upload(send, device("h200-sxm", scale=0.9), status=200)
    send("DELETE", "calibrations", id=made["calibrations"][0]["id"])
    await_version(other, newest(sql))
    again = other.call("GET", "/v1/throughput", query=QUESTION).json
    assert again["output_tokens_per_second"] == before["output_tokens_per_second"]


def test_another_driver_or_clock_retires_what_is_older(sql, send):
    first = upload(send, started_at="2026-11-01T00:00:00Z")["calibrations"][0]["id"]
    same = upload(send, device("h200-sxm", scale=0.99), started_at="2026-11-02T00:00:00Z")
    assert same["retired"] == []
    versions = newest(sql)
    driver = upload(send, device("h200-sxm", driver="590.1"), started_at="2026-11-03T00:00:00Z")
    assert newest(sql) == versions + 1
    assert {one["id"] for one in driver["retired"]} == {first, same["calibrations"][0]["id"]}
    assert all("driver or clocks differ from those of " + driver["calibrations"][0]["id"] in one["reason"]
               for one in driver["retired"])
    late = upload(send, device("h200-sxm", scale=0.98), started_at="2026-11-02T12:00:00Z")
    assert late["calibrations"][0]["state"] == "retired" and late["retired"] == []
    clock = upload(send, device("h200-sxm", driver="590.1", clock=1700), started_at="2026-11-04T00:00:00Z")
    assert [one["id"] for one in clock["retired"]] == [driver["calibrations"][0]["id"]]
    assert sorted(states(sql).values()) == ["retired"] * 4 + ["used"]


def test_keys_tell_gpus_apart(sql, send):
    for key, driver, day in (("a", "580", 1), ("b", "590", 2), ("a", "580", 3)):
        answer = upload(send, device("h200-sxm", key=key, driver=driver), started_at=f"2026-11-0{day}T00:00:00Z")
        assert answer["retired"] == []
    answer = upload(send, device("h200-sxm", key="a", driver="600"), started_at="2026-11-04T00:00:00Z")
    assert len(answer["retired"]) == 2
    assert upload(send, pool="lab", started_at="2026-11-05T00:00:00Z")["retired"] == []
    assert sorted(states(sql).values()) == ["retired", "retired", "used", "used"]


def test_suspects_are_kept_and_not_used(sql, service, send):
    entry, = upload(send, device("h200-sxm", scale=0.4))["calibrations"]
    assert entry["state"] == "suspect" and "under half" in entry["reason"] and entry["reason"] in entry["source"]
    shared = changed(report(started_at="2026-11-21T00:00:00Z"), "devices.0.conditions.shared", True)
    answer = send("POST", "calibrations", shared)
    assert answer.json["calibrations"][0]["reason"] == "others used the GPU meanwhile"
    await_version(service, newest(sql))
    listed = send("GET", "calibrations", state="suspect").json["calibrations"]
    assert {one["id"] for one in listed} == set(states(sql))
    assert entry["reason"] in {one["reason"] for one in listed}
    metrics = service.call("GET", "/metrics").text
    assert 'gpusize_calibrations{state="suspect"} 2' in metrics and "gpusize_calibration_share_ratio{" not in metrics


def test_drift_shows_in_metrics(sql, service, send):
    def ratios(name):
        await_version(service, newest(sql))
        found = re.findall(name + r'_ratio\{gpu="h200-sxm",pool="own",figure="([a-z0-9_]+)"\} (\S+)',
                           service.call("GET", "/metrics").text)
        return {figure: float(value) for figure, value in found}

    upload(send, device("h200-sxm", scale=0.95), started_at="2026-11-01T08:00:00Z")
    shares = ratios("gpusize_calibration_share")
    assert shares["memory"] == pytest.approx(0.95 * 4300 / 4800, rel=1e-4) and "allreduce_us" not in shares
    drift = ratios("gpusize_calibration_drift")
    assert drift["memory"] == drift["product_16bit"] == pytest.approx(0.95) and drift["allreduce_us"] == 1
    upload(send, device("h200-sxm", scale=0.97), started_at="2026-11-01T09:00:00Z")
    upload(send, device("h200-sxm", scale=0.9), started_at="2026-11-01T10:00:00Z")
    drift = ratios("gpusize_calibration_drift")
    assert drift["memory"] == pytest.approx(0.9 / 0.96, rel=1e-4)
    assert 'gpusize_calibrations{state="used"} 3' in service.call("GET", "/metrics").text
    assert 'pool="published"' not in service.call("GET", "/metrics").text


def test_what_is_kept_about_an_upload(sql, send):
    made = send("POST", "calibrations", report(), note="rack 7").json
    assert sql("select report ->> 'schema', note, created_by ~ '^key .*writer 1' from gpusize.calibration_report") == (
        "calibration/1|rack 7|t")
    assert sql("select report_id from gpusize.calibration where pool = 'own'") == made["report_id"]
    told = sql("select action, actor ~ 'writer 1', new ->> 'gpu_id', catalog_version from gpusize.audit_log"
               " where subject = 'calibration'")
    assert told == f"insert|t|h200-sxm|{newest(sql)}"
    assert sql("select created_by ~ 'writer 1' from gpusize.catalog_version order by number desc limit 1") == "t"


def test_several_gpus_in_one_report(sql, send):
    broken = {"device": {"model": "NVIDIA H100 80GB HBM3"},
              "results": [{"name": "dram_read", "status": "waived", "reason": "no_time_left"}]}
    made = upload(send, device("h100-sxm"), device("h100-sxm"), device("l40s"), broken)
    assert [one["gpu"] for one in made["calibrations"]] == ["h100-sxm", "h100-sxm", "l40s"]
    assert made["left_out"] == [{"device": "NVIDIA H100 80GB HBM3", "reason": "no_time_left"}]
    assert sql("select count(*) from gpusize.calibration_report") == "1"


def test_a_gpu_that_is_retired_takes_its_calibrations_along(sql, service, key):
    part = {"id": "x100", "name": "X100", "family": "x100", "vendor": "nvidia", "architecture": "Hopper",
            "memory_nominal_gb": 96, "memory_bandwidth_gb_per_s": 4000, "interconnect": "NVLink", "link_domain_gpus": 8,
            "node_gpus": 8, "source": "ours", "as_of": "2026-11-01"}
    headers = {"Authorization": f"Bearer {key}", "If-Match": "*"}
    await_true(lambda: service.call("POST", "/v1/gpus", json=part, headers=headers).status in (201, 409))
    sql("insert into gpusize.calibration (id, pool, gpu_id, memory_gb_per_s, state, source, as_of)"
        " values ('1', 'own', 'x100', 3000, 'used', 'ours', '2026-11-01')")
    assert service.call("DELETE", "/v1/gpus", query={"id": "x100"}, headers=headers).status == 200
    assert states(sql) == {}


def test_bundled_facts_come_again_without_a_change(cluster, database, sql, gpusize, send):
    upload(send)
    versions = newest(sql)
    assert "0 facts written" in gpusize(cluster.url(database), "import", "bundled")
    assert newest(sql) == versions and len(states(sql)) == 1


def make_older(cluster, database):
    """As a program of schema 4 left it."""
    access = (MIGRATIONS / "0002_access.sql").read_text(encoding="utf-8")
    tables = [re.search(pattern, access, re.DOTALL)[0] for pattern in (
        r"create table gpusize\.calibration \(.*?holds\.\"}'\);\n",
        r"create table gpusize\.monitor_sample \(.*?partition of gpusize\.monitor_sample default;\n")]
    cluster.sql(database, "drop table gpusize.calibration, gpusize.calibration_report, gpusize.monitor_host,"
                          " gpusize.monitor_sample;"
                          "drop function gpusize.calibration_history(), gpusize.monitor_make_days(date, date),"
                          " gpusize.monitor_keep(integer);" + "".join(tables) +
                          "delete from gpusize.schema_migration where number >= 5")


def test_a_database_of_an_older_program(cluster, database, sql, serve, gpusize):
    url = cluster.url(database)
    make_older(cluster, database)
    said = gpusize(url, "migrate")
    assert "applied 0005_calibrations" in said and "applied 0006_monitor" in said and "rows of engine profiles and calibrations" in said
    assert int(sql("select count(*) from gpusize.calibration where pool = 'published'")) > 3
    versions = newest(sql)
    assert "changed" not in gpusize(url, "migrate") and newest(sql) == versions
    service = serve(database)
    await_ready(service, "ready")
    assert 'gpusize_calibrations{state="used"} 0' in service.call("GET", "/metrics").text


def test_published_ones_that_somebody_deleted_stay_away(cluster, database, sql, gpusize):
    sql("delete from gpusize.calibration")
    versions = newest(sql)
    assert "changed" not in gpusize(cluster.url(database), "migrate") and newest(sql) == versions


def test_rows_of_the_older_table_are_not_lost(cluster, database, gpusize):
    make_older(cluster, database)
    cluster.sql(database, "insert into gpusize.calibration (pool, gpu_id, status, measured_at, report)"
                          " values ('own', 'h200-sxm', 'passed', now(), '{}')")
    assert "has rows that no program wrote" in gpusize(cluster.url(database), "migrate", status=3)
    assert cluster.sql(database, "select count(*) from gpusize.calibration") == "1"


def test_files_and_a_database_contradict_each_other(cluster, database, gpusize, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(report()))
    for command in ("serve", "memory --model llama-3.1-8b --gpu h200-sxm"):
        said = gpusize(cluster.url(database), *command.split(), "--calibration", path, status=2)
        assert "calibration: reports lie beside the built-in catalog only" in said
